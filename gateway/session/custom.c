#include "session/custom.h"

#include <string.h>

#include "schema/program.h"

static const uint8_t empty_map[] = {0xa0};

/* NAME or NAME@N. False: N is no version. */
static bool split(struct trib_text schema, size_t *out_len, uint32_t *out_version)
{
    const char *at = memchr(schema.ptr, '@', schema.len);
    *out_len = at ? (size_t)(at - schema.ptr) : schema.len;
    *out_version = 0;
    if (!at)
        return true;
    const char *digits = at + 1, *end = schema.ptr + schema.len;
    if (digits == end || end - digits > 4 || *digits == '0')
        return false;
    for (; digits < end; digits++) {
        if (*digits < '0' || *digits > '9')
            return false;
        *out_version = *out_version * 10 + (uint32_t)(*digits - '0');
    }
    return true;
}

static int code_of_error(int rc)
{
    return rc == GW_ELIMIT || rc == GW_EFULL ? TRIB_REJECT_TOO_LARGE : TRIB_REJECT_MALFORMED;
}

static int code_of_keyword(unsigned keyword)
{
    switch (keyword) {
    case GW_KW_TYPE:
        return TRIB_REJECT_WRONG_TYPE;
    case GW_KW_REQUIRED:
    case GW_KW_DEPENDENT_REQUIRED:
        return TRIB_REJECT_MISSING_FIELD;
    default:
        return TRIB_REJECT_OUT_OF_RANGE;
    }
}

/* --- what is declared --- */

static enum gw_undeclared undeclared_rule(const struct gw_custom_rules *rules,
                                          const struct gw_attributes *attributes)
{
    enum gw_undeclared rule = attributes->undeclared_stated ? attributes->undeclared : rules->undeclared;
    return rule == GW_UNDECLARED_KEEP && attributes->personal ? GW_UNDECLARED_DROP : rule;
}

/* Where the copy of the map goes: its head is one byte, as there are few members. */
#define HEAD_BYTES 1

static int note_member(struct gw_declared_walk *walk, const struct gw_value *key, struct gw_value *child,
                       enum gw_undeclared rule, struct gw_custom *out)
{
    struct gw_scratch *scratch = &walk->scratch->memory;
    const size_t mark = scratch->used, at = walk->len;
    const struct gw_attributes *attributes = out->version->schema->attributes;
    const char *name;
    size_t len;
    uint32_t place = GW_PLACE_ANYTHING;
    if (out->member_count == GW_CUSTOM_MEMBERS_MAX)
        return GW_EFULL;
    int rc = gw_value_text(walk->cursor, key, scratch, &name, &len);
    const int declared = rc == 0 ? gw_declared_find(walk, GW_PLACE_ROOT, name, len, &place) : rc;
    const struct gw_attribute *attribute = declared > 0 ? gw_attribute_find(attributes, name, len) : NULL;
    scratch->used = mark;
    if (declared < 0)
        return declared;
    walk->undeclared += declared == 0;
    if (declared == 0 && rule == GW_UNDECLARED_DROP)
        return gw_value_finish(walk->cursor, child, GW_SCHEMA_VALUE_DEPTH);
    const uint32_t key_bytes = child->at - key->at;
    if (walk->out) {
        memcpy(walk->out + at, walk->cursor->data + key->at, key_bytes);
        walk->len += key_bytes;
    }
    rc = gw_declared_copy(walk, place, child, GW_SCHEMA_VALUE_DEPTH);
    struct gw_custom_member *member = &out->members[out->member_count++];
    *member = (struct gw_custom_member){.key_at = key->at, .value_at = child->at, .end = child->after};
    if (walk->out)
        *member = (struct gw_custom_member){
            .key_at = (uint32_t)at, .value_at = (uint32_t)at + key_bytes, .end = (uint32_t)walk->len};
    member->privacy = attribute ? attribute->privacy : GW_PRIVACY_NONE;
    return rc;
}

static int note_members(struct gw_declared_walk *walk, enum gw_undeclared rule, struct gw_custom *out)
{
    struct gw_value map, key, child;
    struct gw_walk members;
    int rc = gw_value_read(walk->cursor, 0, &map);
    if (rc != 0)
        return rc;
    if (map.kind != GW_KIND_OBJECT)
        return GW_EPROTOCOL;
    gw_walk_open(&map, &members);
    while ((rc = gw_walk_member(walk->cursor, &members, &key, &child)) > 0) {
        rc = note_member(walk, &key, &child, rule, out);
        if (rc != 0)
            return rc;
        members.at = child.after;
    }
    return rc;
}

/*
 * What is declared, as the schema judges it and as it is stored: from here on the event is its copy in room. Secrets stay: the
 * schema judges them. Schemas that keep what is undeclared, or refuse it, need no copy.
 */
static int take_declared(struct gw_schema_scratch *scratch, const struct gw_cursor *cursor,
                         enum gw_undeclared rule, uint8_t *room, struct gw_custom *out)
{
    struct gw_declared_walk walk = {.declared = &out->version->schema->attributes->declared,
                                    .cursor = cursor,
                                    .scratch = scratch,
                                    .fuel = scratch->fuel_max,
                                    .out = rule == GW_UNDECLARED_DROP ? room : NULL,
                                    .len = HEAD_BYTES};
    scratch->memory.used = 0;
    int rc = note_members(&walk, rule, out);
    out->undeclared = walk.undeclared;
    if (rc != 0 || !walk.out)
        return rc;
    struct trib_cbor_writer w;
    trib_cbor_writer_init(&w, room, HEAD_BYTES);
    trib_cbor_put_map(&w, out->member_count);
    out->data = room;
    out->data_len = walk.len;
    return 0;
}

/* --- the verdict --- */

/* The last step of the way to a keyword is its name, but in `properties` and the like it is a schema's. */
static unsigned keyword_of(const struct gw_schema_report *report)
{
    if (report->fault_count == 0)
        return GW_KW_COUNT;
    const char *name = strrchr(report->faults[0].keyword, '/');
    name = name ? name + 1 : report->faults[0].keyword;
    for (unsigned i = 0; i < GW_KW_COUNT; i++)
        if (strlen(name) == gw_keyword_names[i].len &&
            memcmp(name, gw_keyword_names[i].text, gw_keyword_names[i].len) == 0)
            return i;
    return GW_KW_COUNT;
}

/* Which keyword it was: only bad events pay for looking again. */
static unsigned find_keyword(const struct gw_schema *program, struct gw_schema_scratch *scratch,
                             const struct gw_cursor *cursor)
{
    char text[1024];
    struct gw_schema_fault fault;
    struct gw_schema_report report = {
        .faults = &fault, .fault_max = 1, .text = text, .text_max = sizeof text};
    int rc = gw_schema_validate(program, scratch, cursor, &report);
    return rc == GW_SCHEMA_INVALID ? keyword_of(&report) : GW_KW_COUNT;
}

static int judge(const struct gw_schema *program, struct gw_schema_scratch *scratch,
                 const struct gw_cursor *cursor, struct gw_schema_report *report, struct gw_custom *out)
{
    int rc = gw_schema_validate(program, scratch, cursor, report);
    if (rc == GW_SCHEMA_VALID)
        return 0;
    if (rc != GW_SCHEMA_INVALID)
        return code_of_error(rc);
    out->keyword = report ? keyword_of(report) : find_keyword(program, scratch, cursor);
    return code_of_keyword(out->keyword);
}

int gw_custom_judge(const struct gw_custom_rules *rules, struct gw_schema_scratch *scratch,
                    struct trib_text schema, const uint8_t *data, size_t data_len, uint8_t *room,
                    struct gw_schema_report *report, struct gw_custom *out)
{
    size_t name_len;
    uint32_t version;
    out->version = NULL;
    out->member_count = out->undeclared = 0;
    out->keyword = GW_KW_COUNT;
    out->data = data ? data : empty_map;
    out->data_len = data ? data_len : sizeof empty_map;
    if (rules->schemas && split(schema, &name_len, &version))
        out->version = gw_schemas_find(rules->schemas, schema.ptr, name_len, version);
    if (!out->version)
        return TRIB_REJECT_UNKNOWN_SCHEMA;
    const struct gw_schema_entry *entry = out->version->schema;
    const enum gw_undeclared rule = undeclared_rule(rules, entry->attributes);
    struct gw_cursor cursor = {
        .data = out->data, .len = (uint32_t)out->data_len, .encoding = GW_ENCODING_CBOR};
    int rc = take_declared(scratch, &cursor, rule, room, out);
    if (rc != 0)
        return code_of_error(rc);
    if (out->undeclared > 0 && rule == GW_UNDECLARED_REJECT) {
        out->keyword = GW_KW_ADDITIONAL_PROPERTIES;
        return TRIB_REJECT_OUT_OF_RANGE;
    }
    cursor.data = out->data;
    cursor.len = (uint32_t)out->data_len;
    return judge(entry->program, scratch, &cursor, report, out);
}

const char *gw_reject_keyword(uint32_t reason)
{
    const uint32_t keyword = (reason >> 8 & 0xff) - 1;
    return keyword < GW_KW_COUNT ? gw_keyword_names[keyword].text : NULL;
}
