/*
 * Any bytes as a batch. What is admitted must be readable to the end, begin where the session stands, and hold no user
 * but as a pseudonym, nor a custom event but by its schema; what is sealed must open again, and be refused again for the same
 * reason; events, drops and rejections must add up to the seqs taken.
 */
#include <stdlib.h>
#include <string.h>

#include "delivery/event.h"
#include "session/admit.h"
#include "session/redrive.h"

/* a: any text, of a person; b: secret; c: a number; d: an object. `k` keeps what it does not declare, `r` refuses it. */
static const char *const schemas[][2] = {
    {"s", "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"string\",\"x-tributary\":{\"privacy\":"
          "\"personal\"}},"
          "\"b\":{\"x-tributary\":{\"privacy\":\"secret\"}},\"c\":{\"type\":\"integer\",\"minimum\":0},"
          "\"d\":{\"type\":\"object\",\"properties\":{\"e\":{\"pattern\":\"^(a|b)*c$\"}}}}}"},
    {"k", "{\"type\":\"object\",\"x-tributary\":{\"undeclared\":\"keep\"},\"required\":[\"a\"]}"},
    {"r", "{\"type\":\"object\",\"x-tributary\":{\"undeclared\":\"reject\"},\"properties\":{\"c\":{\"type\":"
          "\"integer\"}}}"},
};

static struct gw_admit_policy policy;
static struct gw_arena arena, again;
static struct gw_schema_scratch scratch;
static _Alignas(16) uint8_t memory[65536];

static void check(bool good)
{
    if (!good)
        abort();
}

static void check_user(struct trib_text user)
{
    check(user.len == 0 || (user.len > 3 && memcmp(user.ptr, "p1.", 3) == 0));
}

static void check_entry(const struct gw_admit_input *input, const struct gw_admitted *out)
{
    struct gw_entry_head head;
    const uint8_t *batch;
    size_t batch_len;
    struct trib_wire_batch_reader reader;
    struct trib_wire_batch_item item;
    uint64_t next[TRIB_LANE_COUNT] = {input->lanes[0].committed + 1, input->lanes[1].committed + 1};
    uint64_t events = 0;
    int rc;
    check(gw_entry_decode(out->write.entry, out->write.entry_len, &head, &batch, &batch_len) == 0);
    check(trib_wire_batch_read(&reader, batch, batch_len) == 0);
    while ((rc = trib_wire_batch_next(&reader, &item)) == 1) {
        if (item.kind == TRIB_ITEM_CONTEXT) {
            check_user(item.context_value.user);
            continue;
        }
        check(item.seq == next[item.lane]);
        next[item.lane] += item.kind == TRIB_ITEM_DROP ? item.count : 1;
        events += item.kind >= TRIB_ITEM_FIRST_EVENT;
    }
    check(rc == 0 && events == out->event_count);
    for (unsigned i = 0; i < TRIB_LANE_COUNT; i++)
        check(out->write.lanes[i].stream == 0 || next[i] == out->write.lanes[i].last_seq + 1);

    struct gw_event_reader delivered;
    struct gw_event event;
    check(gw_event_reader_open(&delivered, 1, out->write.entry, out->write.entry_len) == 0);
    while ((rc = gw_event_next(&delivered, &event)) == 1) {
        static char json[1 << 16];
        check_user(event.user);
        check(event.type != TRIB_EVENT_CUSTOM || event.schema.len == 1);
        size_t len = gw_event_json(&event, "gateway", json, sizeof json);
        check(len < sizeof json && json[0] == '{' && json[len - 1] == '}' && !memchr(json, '\n', len));
    }
    check(rc == 0);
}

static void check_sealed(const struct gw_journal_quarantine *sealed)
{
    static uint8_t plain[1 << 18];
    uint8_t label[GW_REJECTED_LABEL_BYTES];
    struct gw_rejected_event rejected;
    size_t len;
    gw_rejected_event_label(sealed->stream, sealed->seq, label);
    check(sealed->sealed_len <= sizeof plain);
    check(gw_unseal(policy.seal, label, sizeof label, sealed->sealed, sealed->sealed_len, plain, &len) == 0);
    check(gw_rejected_event_decode(plain, len, &rejected) == 0);
    check(rejected.stream == sealed->stream && rejected.seq == sealed->seq &&
          rejected.code == GW_REJECT_CODE(sealed->code));

    static struct gw_redriven redriven;
    struct gw_error error;
    const struct gw_journal_place place = {1, 2};
    gw_arena_reset(&again);
    check(gw_redrive(&policy, &scratch, &rejected, &place, &again, &redriven, &error) == 0);
    check(redriven.reason == sealed->code && redriven.admitted.write.entry == NULL);
}

static void set_up(void)
{
    const uint8_t secret[32] = {1};
    struct gw_pseudonym_key *pseudonym;
    struct gw_seal_key *seal;
    check(gw_pseudonym_key_new(secret, sizeof secret, "k", &pseudonym, NULL) == 0);
    check(gw_seal_key_new(secret, sizeof secret, "s", &seal, NULL) == 0);
    const struct gw_schemas_options options = {0};
    struct gw_schemas *registry = gw_schemas_new(&options);
    for (size_t i = 0; i < sizeof schemas / sizeof schemas[0]; i++) {
        const struct gw_schema_version *version;
        struct gw_error error;
        const struct gw_schema_text text = {schemas[i][0], schemas[i][1], strlen(schemas[i][1])};
        check(gw_schemas_register(registry, &text, 1, NULL, &version, &error) == 0);
    }
    check(gw_schema_scratch_init(memory, sizeof memory, &scratch) == 0);
    scratch.fuel_max = GW_CUSTOM_FUEL;
    policy = (struct gw_admit_policy){
        .pseudonym = pseudonym, .seal = seal, .max_event_bytes = 512, .custom = {.schemas = registry}};
    gw_arena_init(&arena, 65536, 64 << 20);
    gw_arena_init(&again, 65536, 64 << 20);
}

/* The first two bytes: how far each lane is committed, before or behind the batch's first seq. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!policy.seal)
        set_up();
    struct trib_wire_position lanes[TRIB_LANE_COUNT];
    if (size < 2 || size > 1 << 16 || gw_admit_peek(data + 2, size - 2, lanes) != 0)
        return 0;
    struct gw_admit_input input = {.head = {.device = {"dev", 3}, .received_utc_ms = 1764000000000ull},
                                   .batch = data + 2,
                                   .batch_len = size - 2,
                                   .schema_scratch = &scratch};
    for (unsigned i = 0; i < TRIB_LANE_COUNT; i++) {
        const uint64_t behind = data[i];
        input.lanes[i].stream = lanes[i].stream;
        if (lanes[i].seq > 0 && lanes[i].seq - 1 < UINT64_MAX - behind)
            input.lanes[i].committed = lanes[i].seq - 1 + behind;
    }
    struct gw_admitted out;
    struct gw_error error;
    unsigned lane;
    gw_arena_reset(&arena);
    if (gw_admit(&policy, &input, &arena, &out, &lane, &error) != GW_ADMIT_OK)
        return 0;
    check((out.write.entry != NULL) == (out.event_count + out.dropped_count > 0));
    if (out.write.entry)
        check_entry(&input, &out);
    for (size_t i = 0; i < out.write.quarantine_count; i++)
        check_sealed(&out.write.quarantine[i]);
    uint64_t taken = 0;
    for (unsigned i = 0; i < TRIB_LANE_COUNT; i++)
        taken += out.write.lanes[i].last_seq - out.write.lanes[i].expected;
    check(taken == out.event_count + out.dropped_count + out.write.quarantine_count);
    check(out.write.quarantine_count == out.rejected_count + out.rejected_more);
    return 0;
}
