/* What the gateway says to a simulated device, checked against what it may say. */
#ifndef LOAD_ANSWERS_H
#define LOAD_ANSWERS_H

#include "device.h"

/*
 * Takes one whole message: what is acked is promised (obligations.h), what the protocol does not allow is a violation of the run
 * (run.h). 0; -1: the connection ends.
 */
int load_answer(struct load_device *d, const uint8_t *message, size_t len);

#endif
