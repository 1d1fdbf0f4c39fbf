/* Valid events: masked, and written to the entry. */
#include <string.h>

#include "session/admit_internal.h"

/*
 * Mixes the ends of a text, where user ids differ, for its place among those that a batch remembers. Two that meet take the
 * place from one another, which costs a look-up in the thread's table and no more, so that anybody can foresee it does no harm.
 */
static uint64_t mix(struct trib_text user)
{
    uint64_t begin = 0, end = 0;
    if (user.len >= sizeof begin) {
        memcpy(&begin, user.ptr, sizeof begin);
        memcpy(&end, user.ptr + user.len - sizeof end, sizeof end);
    } else {
        memcpy(&begin, user.ptr, user.len);
    }
    return (begin ^ (end << 7 | end >> 57) ^ user.len) * 0x9e3779b97f4a7c15u; /* Fibonacci hashing */
}

static bool is_same(const struct gw_admit_user *known, struct trib_text user, uint64_t mixed)
{
    return known->mixed == mixed && known->id_len == user.len && memcmp(known->id, user.ptr, user.len) == 0;
}

/* The pseudonym of a text; NULL when it cannot be computed. Valid until another is asked for. */
static const struct gw_admit_user *pseudonym_of(struct gw_admission *a, struct trib_text user)
{
    const bool remembered = a->input->pseudonyms && user.len <= GW_ADMIT_USER_BYTES_MAX;
    const uint64_t mixed = remembered ? mix(user) : 0;
    const unsigned place = (unsigned)(mixed >> (64 - GW_ADMIT_USERS_BITS));
    const uint64_t bit = (uint64_t)1 << place;
    struct gw_admit_user *slot = &a->users[place];
    if (remembered && a->users_known & bit && is_same(slot, user, mixed))
        return slot;
    slot->text_len = (uint32_t)gw_pseudonym_cached(a->input->pseudonyms, a->policy->pseudonym, user.ptr,
                                                   user.len, slot->text);
    a->users_known &= ~bit;
    if (slot->text_len == 0)
        return NULL;
    if (!remembered)
        return slot;
    slot->mixed = mixed;
    slot->id_len = (uint32_t)user.len;
    memcpy(slot->id, user.ptr, user.len);
    a->users_known |= bit;
    return slot;
}

/* Contexts are written masked, right before the first event that needs them; one that nothing uses is left
 * out. */
static enum gw_admit_verdict write_context(struct gw_admission *a, unsigned index)
{
    if (index == 0 || a->contexts_written >> index & 1)
        return GW_ADMIT_OK;
    struct trib_wire_context masked = a->contexts[index];
    if (masked.user.len != 0) {
        const struct gw_admit_user *pseudonym = pseudonym_of(a, masked.user);
        if (!pseudonym)
            return GW_ADMIT_CRYPTO;
        masked.user = (struct trib_text){pseudonym->text, pseudonym->text_len};
    }
    enum gw_admit_verdict verdict =
        gw_admit_room(a, GW_ADMIT_ITEM_OVERHEAD + masked.content.len + masked.user.len);
    if (verdict != GW_ADMIT_OK)
        return verdict;
    trib_wire_batch_context(&a->writer, index, &masked);
    a->contexts_written |= 1u << index;
    return GW_ADMIT_OK;
}

void gw_admit_context(struct gw_admission *a, const struct trib_wire_batch_item *item)
{
    a->contexts[item->context] = item->context_value;
    a->contexts_written &= ~(1u << item->context);
}

/* What a fields map that is written anew may be longer. */
static size_t room_for_masks(unsigned kind)
{
    return GW_ADMIT_ITEM_OVERHEAD + GW_PSEUDONYM_TEXT_MAX + (kind == TRIB_EVENT_CUSTOM ? GW_CUSTOM_ROOM : 0);
}

/* Bytes of the head of the text at `at`, which the validator has walked over. */
static size_t text_head_bytes(const uint8_t *at)
{
    unsigned info = *at & 31;
    return info < 24 ? 1 : 1 + ((size_t)1 << (info - 24));
}

uint8_t *gw_admit_write_pseudonym(struct gw_admission *a, struct trib_text plain, uint8_t *out)
{
    _Static_assert(GW_PSEUDONYM_DIGITS >= 24 && GW_PSEUDONYM_TEXT_MAX < 256, "its length takes one byte");
    const struct gw_admit_user *pseudonym = pseudonym_of(a, plain);
    if (!pseudonym)
        return NULL;
    *out++ = TRIB_CBOR_TEXT << 5 | 24; /* RFC 8949 §3 */
    *out++ = (uint8_t)pseudonym->text_len;
    memcpy(out, pseudonym->text, pseudonym->text_len);
    return out + pseudonym->text_len;
}

static uint8_t *write_user(struct gw_admission *a, const uint8_t *fields, const struct gw_field_span *span,
                           uint8_t *out)
{
    size_t head = text_head_bytes(fields + span->value_at);
    struct trib_text user = {(const char *)fields + span->value_at + head, span->end - span->value_at - head};
    return gw_admit_write_pseudonym(a, user, out);
}

static bool is_rewritten(unsigned id)
{
    return id == TRIB_FIELD_USER || id == TRIB_FIELD_SCHEMA || id == TRIB_FIELD_DATA;
}

static uint8_t *rewrite(struct gw_admission *a, const uint8_t *fields, const struct gw_field_span *span,
                        uint8_t *out)
{
    if (span->id == TRIB_FIELD_USER)
        return write_user(a, fields, span, out);
    return span->id == TRIB_FIELD_SCHEMA ? gw_admit_pinned(a, out) : gw_admit_attributes(a, out);
}

/*
 * Writes the declared fields anew, in their order, with the user's pseudonym; a custom event's schema and attributes as its
 * schema says. What lies side by side is copied at once. out has room for the fields and room_for_masks. NULL: no pseudonym.
 */
static uint8_t *mask_fields(struct gw_admission *a, const uint8_t *fields, const struct gw_validated *valid,
                            uint8_t *out)
{
    struct trib_cbor_writer w;
    trib_cbor_writer_init(&w, out, GW_ADMIT_ITEM_OVERHEAD);
    trib_cbor_put_map(&w, valid->field_count);
    out += w.len;
    size_t from = valid->field_count ? valid->fields[0].key_at : 0, to = from;
    for (uint32_t i = 0; i < valid->field_count; i++) {
        const struct gw_field_span *span = &valid->fields[i];
        if (span->key_at != to) { /* an undeclared one stands between */
            memcpy(out, fields + from, to - from);
            out += to - from;
            from = span->key_at;
        }
        to = span->end;
        if (!is_rewritten(span->id))
            continue;
        memcpy(out, fields + from, span->value_at - from);
        out += span->value_at - from;
        out = rewrite(a, fields, span, out);
        if (!out)
            return NULL;
        from = to;
    }
    memcpy(out, fields + from, to - from);
    return out + (to - from);
}

static bool has_user(const struct gw_validated *valid)
{
    for (uint32_t i = 0; i < valid->field_count; i++) {
        if (valid->fields[i].id == TRIB_FIELD_USER)
            return true;
    }
    return false;
}

/* A stream that ends in an erasure lacks nothing: what it still had was to be forgotten. */
static void note_start(struct gw_admission *a, const struct trib_wire_batch_item *event,
                       const struct gw_validated *valid)
{
    struct gw_admitted_start start = {0};
    uint64_t reason = 0;
    for (uint32_t i = 0; i < valid->field_count; i++) {
        const struct gw_field_span *span = &valid->fields[i];
        struct trib_cbor_reader r;
        trib_cbor_reader_init(&r, event->fields + span->value_at, span->end - span->value_at);
        uint64_t value = trib_cbor_get_uint(&r);
        if (r.error)
            continue;
        if (span->id == TRIB_FIELD_PREVIOUS)
            start.previous = value;
        else if (span->id == TRIB_FIELD_PREVIOUS_NEXT)
            start.previous_next = value;
        else if (span->id == TRIB_FIELD_START_REASON)
            reason = value;
    }
    if (reason != TRIB_START_REASON_ERASED)
        a->out->starts[event->lane] = start;
}

/*
 * The head of an item that the entry may hold as it came: three elements, so that nothing hides behind the fields, and
 * times and context that count from where the entry's writer stands. 0: it is to be written anew.
 */
static size_t head_as_it_came(const struct gw_admission *a, const struct trib_wire_batch_item *event)
{
    const uint8_t *item = a->reader.r.buf + a->item_at;
    bool follows = a->writer.mono_ms == a->before.mono_ms && a->writer.ord == a->before.ord &&
                   a->writer.context == a->before.context;
    bool plain = item[0] == 0x83 && event->context == a->before.context && event->ord == a->before.ord + 1 &&
                 event->fields + event->fields_len == a->reader.r.buf + a->reader.r.pos;
    return follows && plain ? (size_t)(event->fields - item) : 0;
}

static enum gw_admit_verdict write_event(struct gw_admission *a, const struct trib_wire_batch_item *event,
                                         const struct gw_validated *valid)
{
    enum gw_admit_verdict verdict =
        gw_admit_room(a, GW_ADMIT_ITEM_OVERHEAD + event->fields_len + room_for_masks(event->kind));
    if (verdict != GW_ADMIT_OK)
        return verdict;
    struct trib_wire_batch_writer *writer = &a->writer;
    bool masked = valid->undeclared != 0 || event->kind == TRIB_EVENT_CUSTOM || has_user(valid);
    size_t head = head_as_it_came(a, event);
    if (head == 0 || head > GW_ADMIT_ITEM_OVERHEAD) {
        uint8_t *fields =
            masked ? gw_admit_scratch(a, &a->scratch, event->fields_len + room_for_masks(event->kind)) : NULL;
        uint8_t *end = NULL;
        if (masked && !fields)
            return GW_ADMIT_NO_MEMORY;
        if (masked && !(end = mask_fields(a, event->fields, valid, fields)))
            return GW_ADMIT_CRYPTO;
        trib_wire_batch_event(writer, event->lane, event->kind, event->mono_ms, event->ord, event->context,
                              masked ? fields : event->fields,
                              masked ? (size_t)(end - fields) : event->fields_len);
        return GW_ADMIT_OK;
    }
    uint8_t *out = writer->w.buf + writer->w.len, *end = out + head;
    memcpy(out, event->fields - head, head);
    if (masked)
        end = mask_fields(a, event->fields, valid, end);
    else
        end = (uint8_t *)memcpy(end, event->fields, event->fields_len) + event->fields_len;
    if (!end)
        return GW_ADMIT_CRYPTO;
    writer->w.len += (size_t)(end - out);
    writer->mono_ms = event->mono_ms;
    writer->ord = event->ord;
    writer->item_count++;
    return GW_ADMIT_OK;
}

enum gw_admit_verdict gw_admit_accept(struct gw_admission *a, const struct trib_wire_batch_item *event,
                                      const struct gw_validated *valid)
{
    enum gw_admit_verdict verdict = write_context(a, event->context);
    if (verdict == GW_ADMIT_OK)
        verdict = write_event(a, event, valid);
    if (verdict != GW_ADMIT_OK)
        return verdict;
    a->out->event_count++;
    a->out->undeclared_count += valid->undeclared;
    if (event->kind == TRIB_EVENT_CUSTOM)
        a->out->undeclared_count += a->custom.undeclared;
    if (event->kind == TRIB_EVENT_STREAM_START)
        note_start(a, event, valid);
    return GW_ADMIT_OK;
}
