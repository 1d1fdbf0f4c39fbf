#include "scenario/staging_tap.h"

#include "client/client_internal.h"

void staging_tap(const struct trib_client *client, uint32_t *in_out_ord,
                 void (*take)(void *context, const struct staged_event *event), void *context)
{
    const struct trib_staging *s = &client->staging;
    if (client->ord == *in_out_ord)
        return;
    for (uint32_t at = 0; at < s->head;) {
        struct trib_staged head;
        const uint8_t *payload = trib_staged_at(s, at, &head);
        at += head.bytes;
        if (head.kind >= TRIB_STAGED_CONTEXT || head.ord <= *in_out_ord)
            continue;
        struct staged_event event = {.mono_ms = head.mono_ms,
                                     .boot = client->boot,
                                     .ord = head.ord,
                                     .type = head.kind,
                                     .lane = head.lane,
                                     .fields = payload,
                                     .fields_len = head.bytes - sizeof head};
        take(context, &event);
    }
    *in_out_ord = client->ord;
}
