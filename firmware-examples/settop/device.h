/*
 * All that this app does with the Tributary SDK: the ports it gives it, the calls it makes, each of them
 * written to the side file with its return code. An app of your own needs little more than device.c.
 */
#ifndef SETTOP_DEVICE_H
#define SETTOP_DEVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "side_file.h"
#include "tributary/tributary.h"

struct device_options {
    const char *device_id, *host,
        *server_name; /* server_name: the name in the gateway's certificate; NULL: host */
    uint16_t port;
    const char *proxy_host; /* NULL: none; an HTTP proxy on the way to the gateway */
    uint16_t proxy_port;
    const char *proxy_user, *proxy_password; /* NULL: no credentials for it */
    const char *ca, *certificate, *key;      /* PEM files; certificate and key NULL with a token */
    const char *token;
    const char *ring_folder;
    uint32_t linger_ms, backoff_max_ms; /* 0: the SDK's defaults */
};

struct device;

/* Opens ring and credentials. NULL after a line on stderr. */
struct device *device_open(const struct device_options *options, struct side_file *side);
void device_close(struct device *device);

/* Lets the SDK work; returns within how many ms it wants to be called again. */
uint32_t device_poll(struct device *device);
/* Sleeps until the network is ready, wake_fd is readable, or the time is over. */
void device_wait(struct device *device, int wake_fd, uint32_t timeout_ms);
/* Makes all that was recorded durable, so that device_waiting counts it. */
void device_settle(struct device *device);
/* Events that are durable and not acked. */
uint64_t device_waiting(struct device *device);
/* Ends the SDK's work within budget_ms: 0 when all is acked. */
int device_shutdown(struct device *device, uint32_t budget_ms);
/* Writes the SDK's statistics to the side file. */
void device_write_stats(struct device *device, const char *when);

/* One playback session at a time. */
bool device_session_active(const struct device *device);
void device_session_start(struct device *device, const char *content, const char *user);
void device_report(struct device *device, enum trib_player_report report, uint64_t position_ms, int64_t value,
                   enum trib_enum_value cause);
void device_session_end(struct device *device, enum trib_enum_value reason);

void device_favourite(struct device *device, bool add, const char *list, const char *item, const char *user);

struct device_attribute {
    const char *name, *value;
};
void device_custom(struct device *device, const char *schema, const struct device_attribute *attributes,
                   size_t count);

#endif
