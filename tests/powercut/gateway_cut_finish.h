/*
 * What a gateway would do with a data folder after a power cut, without its network: opens the journal, lets the
 * embedded sinks catch up from their own last whole record, and writes the whole stream to a file.
 */
#ifndef TESTS_POWERCUT_GATEWAY_CUT_FINISH_H
#define TESTS_POWERCUT_GATEWAY_CUT_FINISH_H

/* Every event must be in stream and lake alike, and in the lake once. 0; 1 with a text on standard error. */
int finish_folder(const char *folder, const char *stream_json);

#endif
