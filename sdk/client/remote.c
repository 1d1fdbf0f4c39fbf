/* What the gateway configures: taken within bounds, kept across boots. */
#include <string.h>

#include "client/client_internal.h"
#include "wire/cbor.h"

#define LINGER_MS 10000u
#define METERED_LINGER_MS 60000u /* at least */

static const struct bounds {
    uint32_t least, most, standard;
} bounds[TRIB_SETTING_COUNT] = {
    [TRIB_SETTING_HEARTBEAT_MS] = {1000, 3600000, 0},
    [TRIB_SETTING_SAMPLING_MILLI] = {0, 1000, 1000},
    [TRIB_SETTING_LINGER_MS] = {1, 3600000, 0},
    [TRIB_SETTING_DURABLE_WINDOW_MS] = {1, 60000, 0},
    [TRIB_SETTING_VITAL_SHARE] = {0, 100, 0},
    [TRIB_SETTING_RECORDING] = {0, 1, 1},
    [TRIB_SETTING_SENDING] = {0, 1, 1},
    [TRIB_SETTING_RECHECK_MS] = {60000, 86400000, 3600000},
};

bool trib_client_set(struct trib_client *client, unsigned setting, uint64_t value)
{
    const struct bounds *b = &bounds[setting];
    if (!TRIB_HAS_REMOTE_CONFIG)
        value = b->standard; /* also what another build has kept in the journal */
    uint32_t taken = value < b->least ? b->least : value > b->most ? b->most : (uint32_t)value;
    if (value == b->standard)
        taken = b->standard;
    client->settings[setting] = taken;
    return taken == value;
}

void trib_client_settings_default(struct trib_client *client)
{
    for (unsigned i = 0; i < TRIB_SETTING_COUNT; i++)
        (void)trib_client_set(client, i, bounds[i].standard);
}

uint32_t trib_client_linger_ms(const struct trib_client *client)
{
    uint32_t linger = client->settings[TRIB_SETTING_LINGER_MS];
    if (linger == 0)
        linger = client->config->linger_ms ? client->config->linger_ms : LINGER_MS;
    if (client->hint == TRIB_HINT_SUSPEND)
        return 0;
    return client->hint == TRIB_HINT_METERED && linger < METERED_LINGER_MS ? METERED_LINGER_MS : linger;
}

void trib_client_recheck_later(struct trib_client *client, uint32_t most_ms)
{
    uint32_t wait = client->settings[TRIB_SETTING_RECHECK_MS];
    client->recheck_at_ms = trib_client_now(client) + (wait < most_ms ? wait : most_ms);
}

/* Returns the keys whose values were out of range, a bit each. */
static unsigned take(struct trib_client *client, struct trib_cbor_reader *r)
{
    unsigned outside = 0;
    struct trib_cbor_container map = trib_cbor_get_map(r);
    while (trib_cbor_next(r, &map)) {
        bool known = trib_cbor_peek(r) == TRIB_CBOR_UINT;
        uint64_t key = 0;
        if (known)
            key = trib_cbor_get_uint(r);
        else
            trib_cbor_skip(r);
        if (key == 0 || key > TRIB_SETTING_COUNT || trib_cbor_peek(r) != TRIB_CBOR_UINT) {
            trib_cbor_skip(r); /* of a later version */
            continue;
        }
        if (!trib_client_set(client, (unsigned)key - 1, trib_cbor_get_uint(r)))
            outside |= 1u << key;
    }
    return outside;
}

static void tell(const struct trib_client *client, unsigned outside)
{
    if (!TRIB_HAS_LOG)
        return;
    char text[] = "configuration: setting 0 is out of its range: the nearest value is taken";
    for (unsigned key = 1; key <= TRIB_SETTING_COUNT; key++)
        if (outside >> key & 1) {
            text[sizeof "configuration: setting"] = (char)('0' + key);
            trib_client_log(client, TRIB_LOG_WARNING, text);
        }
}

void trib_client_configure(struct trib_client *client, const struct trib_wire_config *config)
{
    struct trib_cbor_reader r;
    uint64_t now = trib_client_now(client);
    if (config->version == client->config_version || config->version > UINT32_MAX)
        return;
    trib_cbor_reader_init(&r, config->map, config->map_len);
    trib_client_lock(client);
    bool stopped = trib_client_stopped(client);
    trib_client_settings_default(client);
    unsigned outside = take(client, &r);
    if (stopped && !trib_client_stopped(client))
        trib_client_resume_sessions(client, now);
    trib_client_unlock(client);
    tell(client, outside);
    client->config_version = (uint32_t)config->version;
    client->state_due = true;
    trib_client_recheck_later(client, UINT32_MAX);
}
