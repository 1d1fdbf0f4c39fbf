/* One line of log without printf, which would cost a device more than all of the uplink. */
#include <string.h>

#include "uplink/internal.h"

#define LINE_BYTES 160

struct line {
    char text[LINE_BYTES];
    size_t len;
};

static void put(struct line *l, const char *text)
{
    size_t room = sizeof l->text - 1 - l->len;
    size_t len = strlen(text) < room ? strlen(text) : room;
    memcpy(l->text + l->len, text, len);
    l->len += len;
}

/* In 32 bits: a division of 64 is a library of its own on a small device. What is larger reads as the largest. */
static void put_number(struct line *l, uint64_t number)
{
    char digits[11];
    uint32_t rest = number < UINT32_MAX ? (uint32_t)number : UINT32_MAX;
    size_t at = sizeof digits - 1;
    digits[at] = '\0';
    do {
        digits[--at] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    put(l, digits + at);
}

void trib_uplink_write_log(const struct trib_uplink *u, enum trib_log_level level, const char *what,
                           const char *detail, uint64_t number, const char *unit)
{
    struct line l = {.len = 0};
    if (u->config->log.write == NULL)
        return;
    put(&l, "uplink: ");
    put(&l, what);
    if (detail != NULL) {
        put(&l, ": ");
        put(&l, detail);
    }
    if (unit != NULL) {
        put(&l, " ");
        put_number(&l, number);
        put(&l, " ");
        put(&l, unit);
    }
    l.text[l.len] = '\0';
    u->config->log.write(u->config->log.context, level, l.text);
}
