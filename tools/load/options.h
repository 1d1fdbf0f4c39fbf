/* What the user asks for on the command line. */
#ifndef LOAD_OPTIONS_H
#define LOAD_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#define LOAD_SOURCES_MAX 60000

enum load_format { LOAD_TEXT, LOAD_JSON };

struct load_options {
    /* where */
    char host[256];
    uint16_t port;
    char path[256];
    const char *ca;
    uint64_t addresses; /* of 127.0.0.0/8, to connect from; 0: the system's choice */
    /* who */
    const char *cert, *key;         /* one device's certificate */
    const char *cert_dir;           /* device-<id>.pem and device-<id>.key, as dev-ca makes them */
    const char *device_ca, *ca_key; /* certificates are issued on the fly */
    const char *token, *token_file; /* one device's token */
    const char *jwt_key, *jwt_kid, *jwt_audience; /* tokens are signed on the fly */
    const char *device_prefix;
    /* what */
    uint64_t devices, events, batch, window, users, seed;
    double rate;     /* events a second in total; 0: as fast as it goes */
    double duration; /* seconds; 0: until all is acked */
    double patience; /* seconds without any progress before giving up */
    bool hold, reconnect, chaos;
    enum load_format format;
    bool quiet;
    /* proof */
    const char *obligations, *ack_position;
};

/* 0; 1: asked for help, which is printed; -1: not understood, which is said on stderr. */
int load_options_parse(int argc, char **argv, struct load_options *out);

#endif
