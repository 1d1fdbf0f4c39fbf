#include "schema/validate.h"

#include <stdbool.h>
#include <string.h>

/* One encoded item's head (RFC 8949 §3): major type, additional information and its argument. */
struct item_head {
    unsigned major, info;
    uint64_t value;
};

/* The position after the head, or NULL when the bytes end first or the additional information is reserved. */
static inline const uint8_t *read_head(const uint8_t *p, const uint8_t *end, struct item_head *out)
{
    if (p == end)
        return NULL;
    out->major = *p >> 5;
    out->info = *p & 31;
    out->value = out->info;
    p++;
    if (out->info < 24 || out->info == 31)
        return p;
    if (out->info > 27)
        return NULL;
    size_t bytes = (size_t)1 << (out->info - 24);
    if ((size_t)(end - p) < bytes)
        return NULL;
    uint64_t value = 0;
    for (size_t i = 0; i < bytes; i++)
        value = value << 8 | p[i];
    out->value = value;
    return p + bytes;
}

/* Steps over one whole item of any kind; NULL when it is not well-formed. */
static const uint8_t *skip_item(const uint8_t *p, const uint8_t *end)
{
    struct trib_cbor_reader r;
    trib_cbor_reader_init(&r, p, (size_t)(end - p));
    trib_cbor_skip(&r);
    return r.error ? NULL : p + r.pos;
}

static bool is_ascii(const uint8_t *p, size_t len)
{
    uint64_t seen = 0;
    for (; len >= 8; p += 8, len -= 8) {
        uint64_t word;
        memcpy(&word, p, 8);
        seen |= word;
    }
    for (; len > 0; p++, len--)
        seen |= *p;
    return (seen & 0x8080808080808080ull) == 0;
}

/* Most texts are ASCII and need no more than the word-wise look. */
static bool is_text(const uint8_t *p, size_t len)
{
    return is_ascii(p, len) || trib_cbor_utf8_valid((const char *)p, len);
}

static int check_string(const struct trib_field_info *field, const struct item_head *head, const uint8_t **p,
                        const uint8_t *end)
{
    const unsigned wanted = field->type == TRIB_TYPE_TEXT ? TRIB_CBOR_TEXT : TRIB_CBOR_BYTES;
    if (head->major != wanted || head->info == 31)
        return TRIB_REJECT_WRONG_TYPE;
    if (head->value > (uint64_t)(end - *p))
        return TRIB_REJECT_MALFORMED;
    if (head->value < (uint64_t)field->min || head->value > field->max)
        return TRIB_REJECT_OUT_OF_RANGE;
    if (wanted == TRIB_CBOR_TEXT && !is_text(*p, (size_t)head->value))
        return TRIB_REJECT_MALFORMED;
    *p += head->value;
    return 0;
}

static int check_int(const struct trib_field_info *field, const struct item_head *head)
{
    if (head->info == 31)
        return TRIB_REJECT_MALFORMED;
    if (head->major == TRIB_CBOR_UINT)
        return head->value > field->max ? TRIB_REJECT_OUT_OF_RANGE : 0;
    if (head->major != TRIB_CBOR_NEGATIVE)
        return TRIB_REJECT_WRONG_TYPE;
    if (head->value > INT64_MAX || -1 - (int64_t)head->value < field->min)
        return TRIB_REJECT_OUT_OF_RANGE;
    return 0;
}

/* A map's range is its number of pairs; what is in it is its schema's business. */
static int check_map(const struct trib_field_info *field, const struct item_head *head, const uint8_t *item,
                     const uint8_t **p, const uint8_t *end)
{
    if (head->major != TRIB_CBOR_MAP)
        return TRIB_REJECT_WRONG_TYPE;
    const uint8_t *after = skip_item(item, end);
    if (!after)
        return TRIB_REJECT_MALFORMED;
    struct trib_cbor_reader r;
    trib_cbor_reader_init(&r, item, (size_t)(after - item));
    struct trib_cbor_container map = trib_cbor_get_map(&r);
    uint64_t pairs = 0;
    while (pairs <= field->max && trib_cbor_next(&r, &map)) {
        trib_cbor_skip(&r);
        trib_cbor_skip(&r);
        pairs++;
    }
    if (pairs < (uint64_t)field->min || pairs > field->max)
        return TRIB_REJECT_OUT_OF_RANGE;
    *p = after;
    return 0;
}

/* Checks the value at *p against its declaration and moves *p behind it. */
static inline int check_value(const struct trib_field_info *field, const uint8_t **p, const uint8_t *end)
{
    struct item_head head;
    const uint8_t *item = *p;
    const uint8_t *at = read_head(item, end, &head);
    if (!at)
        return TRIB_REJECT_MALFORMED;
    int reject;
    switch ((enum trib_field_type)field->type) {
    case TRIB_TYPE_UINT:
    case TRIB_TYPE_ENUM:
        if (head.major != TRIB_CBOR_UINT)
            return TRIB_REJECT_WRONG_TYPE;
        if (head.info == 31)
            return TRIB_REJECT_MALFORMED;
        reject = head.value < (uint64_t)field->min || head.value > field->max ? TRIB_REJECT_OUT_OF_RANGE : 0;
        break;
    case TRIB_TYPE_INT:
        reject = check_int(field, &head);
        break;
    case TRIB_TYPE_BOOL:
        reject = head.major == TRIB_CBOR_SIMPLE && (head.info == 20 || head.info == 21)
                     ? 0
                     : TRIB_REJECT_WRONG_TYPE;
        break;
    case TRIB_TYPE_TEXT:
    case TRIB_TYPE_BYTES:
        reject = check_string(field, &head, &at, end);
        break;
    case TRIB_TYPE_MAP:
        reject = check_map(field, &head, item, &at, end);
        break;
    default:
        return TRIB_REJECT_WRONG_TYPE;
    }
    *p = at;
    return reject;
}

static int reject_field(struct gw_validated *out, unsigned id, int code)
{
    out->bad_field = id;
    return code;
}

/* Required fields that the walk did not meet. */
static int check_whole(unsigned type, uint64_t seen, struct gw_validated *out)
{
    uint64_t missing = trib_events[type].required & ~seen;
    if (missing)
        return reject_field(out, (unsigned)__builtin_ctzll(missing), TRIB_REJECT_MISSING_FIELD);
    return 0;
}

/* One pair of the fields map at *p: a declared field becomes a span, another one is stepped over. */
static inline int check_pair(uint64_t declared, const uint8_t *fields, const uint8_t **p, const uint8_t *end,
                             uint64_t *seen, struct gw_validated *out)
{
    const uint8_t *key = *p;
    struct item_head head;
    const uint8_t *value = read_head(key, end, &head);
    if (!value)
        return TRIB_REJECT_MALFORMED;
    if (head.major != TRIB_CBOR_UINT || head.value >= TRIB_FIELD_COUNT || !(declared >> head.value & 1)) {
        value = skip_item(key, end);
        *p = value ? skip_item(value, end) : NULL;
        out->undeclared++;
        return *p ? 0 : TRIB_REJECT_MALFORMED;
    }
    const unsigned id = (unsigned)head.value;
    if (head.info == 31 || *seen >> id & 1) /* a field twice: two readers could see two values */
        return reject_field(out, id, TRIB_REJECT_MALFORMED);
    *seen |= 1ull << id;
    *p = value;
    int code = check_value(&trib_fields[id], p, end);
    if (code != 0)
        return reject_field(out, id, code);
    out->fields[out->field_count++] = (struct gw_field_span){
        .key_at = (uint32_t)(key - fields),
        .value_at = (uint32_t)(value - fields),
        .end = (uint32_t)(*p - fields),
        .id = (uint8_t)id,
    };
    return 0;
}

/* A whole fields map; *out_end is the place behind it. */
static inline int check_fields(unsigned type, const uint8_t *fields, const uint8_t *end,
                               struct gw_validated *out, const uint8_t **out_end)
{
    out->field_count = 0;
    out->undeclared = 0;
    out->bad_field = UINT32_MAX;
    if (type < TRIB_ITEM_FIRST_EVENT || type >= TRIB_EVENT_COUNT || !trib_events[type].name)
        return TRIB_REJECT_UNKNOWN_TYPE;

    struct item_head head;
    const uint8_t *p = read_head(fields, end, &head);
    if (!p)
        return TRIB_REJECT_MALFORMED;
    if (head.major != TRIB_CBOR_MAP)
        return TRIB_REJECT_WRONG_TYPE;
    const bool until_break = head.info == 31;
    const uint64_t declared = trib_events[type].required | trib_events[type].optional | TRIB_F(USER);
    uint64_t seen = 0;
    for (uint64_t left = head.value; until_break || left > 0; left--) {
        if (until_break && p < end && *p == 0xff) {
            p++;
            break;
        }
        int code = check_pair(declared, fields, &p, end, &seen, out);
        if (code != 0)
            return code;
    }
    *out_end = p;
    return check_whole(type, seen, out);
}

int gw_validate_event(unsigned type, const uint8_t *fields, size_t len, struct gw_validated *out)
{
    const uint8_t *end = fields;
    int code =
        len <= UINT32_MAX ? check_fields(type, fields, fields + len, out, &end) : TRIB_REJECT_MALFORMED;
    return code == 0 && end != fields + len ? TRIB_REJECT_MALFORMED : code;
}

size_t gw_validate_flat(unsigned type, const uint8_t *fields, size_t most, struct gw_validated *out)
{
    const uint8_t *end;
    /* How deep maps may be nested is for the reader of the batch to say. */
    if (type == TRIB_EVENT_CUSTOM || most > UINT32_MAX ||
        check_fields(type, fields, fields + most, out, &end) != 0)
        return 0;
    return out->undeclared == 0 ? (size_t)(end - fields) : 0;
}
