/* Equality and hashes of JSON values (JSON Schema Core §4.2.2): numbers by value, objects without regard to order. */
#include <string.h>

#include "schema/value.h"

/* What is read is paid for: comparing is quadratic where an attacker chooses the values. */
static int pay(const struct gw_value_pair *pair, uint64_t bytes)
{
    *pair->fuel -= (int64_t)bytes + 32;
    return *pair->fuel < 0 ? GW_ELIMIT : 0;
}

static int equal_text(const struct gw_value_pair *pair, const struct gw_value *a, const struct gw_value *b)
{
    if (a->form == GW_FORM_PLAIN && b->form == GW_FORM_PLAIN)
        return a->text_len == b->text_len && memcmp(a->text, b->text, a->text_len) == 0;
    const size_t mark = pair->scratch->used;
    const char *p, *q;
    size_t p_len, q_len;
    int rc = gw_value_text(pair->a_cursor, a, pair->scratch, &p, &p_len);
    if (rc == 0)
        rc = gw_value_text(pair->b_cursor, b, pair->scratch, &q, &q_len);
    if (rc == 0)
        rc = p_len == q_len && memcmp(p, q, p_len) == 0;
    pair->scratch->used = mark;
    return rc;
}

static bool equal_number(const struct gw_value *a, const struct gw_value *b)
{
    if (a->form == GW_FORM_INT64 && b->form == GW_FORM_INT64)
        return a->integer == b->integer;
    struct gw_number x, y;
    gw_value_number(a, &x);
    gw_value_number(b, &y);
    return gw_number_compare(&x, &y) == 0;
}

static int equal_arrays(const struct gw_value_pair *pair, const struct gw_value *a, const struct gw_value *b,
                        unsigned depth)
{
    struct gw_walk p, q;
    struct gw_value x, y;
    gw_walk_open(a, &p);
    gw_walk_open(b, &q);
    for (;;) {
        int more = gw_walk_item(pair->a_cursor, &p, &x), same = gw_walk_item(pair->b_cursor, &q, &y);
        if (more < 0 || same < 0)
            return more < 0 ? more : same;
        if (more == 0 || same == 0)
            return more == same;
        int rc = gw_value_equal(pair, &x, &y, depth - 1);
        if (rc <= 0)
            return rc;
        rc = gw_value_finish(pair->a_cursor, &x, depth);
        if (rc == 0)
            rc = gw_value_finish(pair->b_cursor, &y, depth);
        if (rc != 0)
            return rc;
        p.at = x.after;
        q.at = y.after;
    }
}

/* 1: b has a member of that key, and it is equal to x; its number of members goes to *out_count if it was walked whole. */
static int find_equal(const struct gw_value_pair *pair, const struct gw_value *key, const struct gw_value *x,
                      const struct gw_value *b, unsigned depth)
{
    struct gw_walk walk;
    struct gw_value other, y;
    gw_walk_open(b, &walk);
    int rc;
    while ((rc = gw_walk_member(pair->b_cursor, &walk, &other, &y)) > 0) {
        rc = pay(pair, other.text_len);
        if (rc == 0)
            rc = equal_text(pair, key, &other);
        if (rc < 0)
            return rc;
        if (rc > 0)
            return gw_value_equal(pair, x, &y, depth - 1);
        rc = gw_value_finish(pair->b_cursor, &y, depth);
        if (rc != 0)
            return rc;
        rc = pay(pair, y.after - y.at);
        if (rc != 0)
            return rc;
        walk.at = y.after;
    }
    return rc;
}

static int count_members(const struct gw_cursor *cursor, const struct gw_value *object, unsigned depth,
                         uint32_t *out)
{
    struct gw_walk walk;
    struct gw_value key, value;
    gw_walk_open(object, &walk);
    int rc;
    *out = 0;
    while ((rc = gw_walk_member(cursor, &walk, &key, &value)) > 0) {
        rc = gw_value_finish(cursor, &value, depth);
        if (rc != 0)
            return rc;
        walk.at = value.after;
        ++*out;
    }
    return rc;
}

static int equal_objects(const struct gw_value_pair *pair, const struct gw_value *a, const struct gw_value *b,
                         unsigned depth)
{
    uint32_t a_count, b_count;
    int rc = count_members(pair->a_cursor, a, depth, &a_count);
    if (rc == 0)
        rc = count_members(pair->b_cursor, b, depth, &b_count);
    if (rc != 0)
        return rc;
    if (a_count != b_count)
        return 0;
    struct gw_walk walk;
    struct gw_value key, x;
    gw_walk_open(a, &walk);
    while ((rc = gw_walk_member(pair->a_cursor, &walk, &key, &x)) > 0) {
        rc = find_equal(pair, &key, &x, b, depth);
        if (rc <= 0)
            return rc;
        rc = gw_value_finish(pair->a_cursor, &x, depth);
        if (rc != 0)
            return rc;
        walk.at = x.after;
    }
    return rc < 0 ? rc : 1;
}

int gw_value_equal(const struct gw_value_pair *pair, const struct gw_value *a, const struct gw_value *b,
                   unsigned depth)
{
    if (depth == 0)
        return GW_ELIMIT;
    if (a->kind != b->kind)
        return 0;
    int rc = pay(pair, a->after > a->at ? a->after - a->at : 0);
    if (rc != 0)
        return rc;
    switch ((enum gw_value_kind)a->kind) {
    case GW_KIND_NULL:
        return 1;
    case GW_KIND_BOOL:
        return a->truth == b->truth;
    case GW_KIND_NUMBER:
        return equal_number(a, b);
    case GW_KIND_STRING:
        return equal_text(pair, a, b);
    case GW_KIND_ARRAY:
        return equal_arrays(pair, a, b, depth);
    default:
        return equal_objects(pair, a, b, depth);
    }
}

static uint64_t mix(uint64_t hash)
{
    hash ^= hash >> 33;
    hash *= 0xff51afd7ed558ccdu;
    return hash ^ hash >> 29;
}

static int hash_text(const struct gw_value_pair *pair, const struct gw_value *a, uint64_t *out)
{
    const size_t mark = pair->scratch->used;
    const char *text;
    size_t len;
    int rc = gw_value_text(pair->a_cursor, a, pair->scratch, &text, &len);
    uint64_t hash = 0xcbf29ce484222325u + len;
    for (size_t i = 0; rc == 0 && i < len; i++)
        hash = (hash ^ (uint8_t)text[i]) * 0x100000001b3u;
    pair->scratch->used = mark;
    *out = mix(hash);
    return rc;
}

/* Members add up, so that their order is of no matter; items are chained. */
static int hash_container(const struct gw_value_pair *pair, const struct gw_value *a, unsigned depth,
                          uint64_t *out)
{
    struct gw_walk walk;
    struct gw_value key, child;
    uint64_t hash = a->kind, k = 0, h;
    gw_walk_open(a, &walk);
    int rc;
    while ((rc = a->kind == GW_KIND_OBJECT ? gw_walk_member(pair->a_cursor, &walk, &key, &child)
                                           : gw_walk_item(pair->a_cursor, &walk, &child)) > 0) {
        rc = a->kind == GW_KIND_OBJECT ? hash_text(pair, &key, &k) : 0;
        if (rc == 0)
            rc = gw_value_hash(pair, &child, depth - 1, &h);
        if (rc == 0)
            rc = gw_value_finish(pair->a_cursor, &child, depth);
        if (rc != 0)
            return rc;
        hash = a->kind == GW_KIND_OBJECT ? hash + mix(k ^ h * 31) : mix(hash * 31 + h);
        walk.at = child.after;
    }
    *out = mix(hash);
    return rc;
}

int gw_value_hash(const struct gw_value_pair *pair, const struct gw_value *a, unsigned depth, uint64_t *out)
{
    if (depth == 0)
        return GW_ELIMIT;
    int rc = pay(pair, a->after > a->at ? a->after - a->at : 0);
    if (rc != 0)
        return rc;
    struct gw_number number;
    switch ((enum gw_value_kind)a->kind) {
    case GW_KIND_NULL:
        *out = 1;
        return 0;
    case GW_KIND_BOOL:
        *out = 2 + a->truth;
        return 0;
    case GW_KIND_NUMBER:
        gw_value_number(a, &number);
        *out = mix(gw_number_hash(&number));
        return 0;
    case GW_KIND_STRING:
        return hash_text(pair, a, out);
    default:
        return hash_container(pair, a, depth, out);
    }
}
