/* Batches as devices make them, and what admission made of them. Shared by the tests that need entries. */
#ifndef ADMIT_FIXTURE_H
#define ADMIT_FIXTURE_H

#include <stdio.h>
#include <string.h>

#include "privacy/pseudonym.h"
#include "privacy/seal.h"
#include "session/admit.h"
#include "session/rejected.h"

#define STREAM_V 0xaaaaaaaaaaaaaaaaull
#define STREAM_R 0xbbbbbbbbbbbbbbbbull

struct fixture {
    struct gw_pseudonym_key *pseudonym;
    struct gw_seal_key *seal;
    struct gw_admit_policy policy;
    struct gw_arena arena;
    struct gw_admit_input input;
    struct trib_wire_batch_head head;
    struct trib_wire_batch_writer batch;
    uint8_t batch_bytes[1 << 17];
    uint8_t fields[8192];
    struct trib_cbor_writer f;
    struct gw_admitted out;
    struct gw_error error;
    unsigned hole_lane;
};

static inline void fixture_open(struct fixture *x)
{
    memset(x, 0, sizeof *x);
    uint8_t secret[32] = {7};
    if (gw_pseudonym_key_new(secret, sizeof secret, "k1", &x->pseudonym, NULL) != 0 ||
        gw_seal_key_new(secret, sizeof secret, "s1", &x->seal, NULL) != 0)
        abort();
    x->policy = (struct gw_admit_policy){.pseudonym = x->pseudonym, .seal = x->seal, .max_event_bytes = 4096};
    gw_arena_init(&x->arena, 65536, 64 << 20);
    x->input.head = (struct gw_entry_head){
        .device = {"dev-1", 5}, .received_utc_ms = 1764000000000ull, .received_uncertainty_ms = 20};
}

static inline void fixture_close(struct fixture *x)
{
    gw_pseudonym_key_free(x->pseudonym);
    gw_seal_key_free(x->seal);
    gw_arena_free(&x->arena);
}

/* A batch of both lanes; the session knows what is committed of them. */
static inline void batch_begin(struct fixture *x, uint64_t first_v, uint64_t first_r, uint64_t committed_v,
                               uint64_t committed_r)
{
    x->head = (struct trib_wire_batch_head){
        .lanes = {{STREAM_V, first_v}, {STREAM_R, first_r}}, .boot = 3, .mono_ms = 1000, .ord = 10};
    x->input.lanes[TRIB_LANE_VITAL] = (struct gw_admit_lane){STREAM_V, committed_v};
    x->input.lanes[TRIB_LANE_ROUTINE] = (struct gw_admit_lane){STREAM_R, committed_r};
    trib_wire_batch_open(&x->batch, &x->head, x->batch_bytes, sizeof x->batch_bytes);
}

static inline void fields_begin(struct fixture *x, uint64_t pairs)
{
    trib_cbor_writer_init(&x->f, x->fields, sizeof x->fields);
    trib_cbor_put_map(&x->f, pairs);
}

static inline void fields_uint(struct fixture *x, unsigned id, uint64_t value)
{
    trib_cbor_put_uint(&x->f, id);
    trib_cbor_put_uint(&x->f, value);
}

static inline void fields_text(struct fixture *x, unsigned id, const char *text)
{
    trib_cbor_put_uint(&x->f, id);
    trib_cbor_put_text(&x->f, text, strlen(text));
}

/* The event whose fields were just written, `step` ms and one ord after the one before. */
static inline void batch_event(struct fixture *x, unsigned lane, unsigned type, unsigned context,
                               uint64_t step)
{
    trib_wire_batch_event(&x->batch, lane, type, x->batch.mono_ms + step, x->batch.ord + 1, context,
                          x->fields, x->f.len);
}

static inline void batch_context(struct fixture *x, unsigned index, uint64_t session, const char *content,
                                 const char *user)
{
    struct trib_wire_context context = {
        .session = session, .content = {content, strlen(content)}, .user = {user, strlen(user)}};
    trib_wire_batch_context(&x->batch, index, &context);
}

static inline enum gw_admit_verdict batch_admit(struct fixture *x)
{
    size_t len;
    if (trib_wire_batch_close(&x->batch, &len) != 0)
        abort();
    x->input.batch = x->batch_bytes;
    x->input.batch_len = len;
    gw_arena_reset(&x->arena);
    return gw_admit(&x->policy, &x->input, &x->arena, &x->out, &x->hole_lane, &x->error);
}

#endif
