/* Custom events: judged by their schema, and their attributes written as it says. */
#include <string.h>

#include "session/admit_internal.h"

static const struct gw_field_span *find(const struct gw_validated *valid, unsigned id)
{
    for (uint32_t i = 0; i < valid->field_count; i++)
        if (valid->fields[i].id == id)
            return &valid->fields[i];
    return NULL;
}

int gw_admit_judge(struct gw_admission *a, const struct trib_wire_batch_item *event,
                   const struct gw_validated *valid)
{
    const struct gw_field_span *name = find(valid, TRIB_FIELD_SCHEMA), *data = find(valid, TRIB_FIELD_DATA);
    const struct gw_custom_rules *rules = &a->policy->custom;
    a->custom.version = NULL;
    if (!name || !rules->schemas || !a->input->schema_scratch)
        return TRIB_REJECT_UNKNOWN_SCHEMA;
    uint8_t *room = gw_admit_scratch(a, &a->declared, event->fields_len + GW_ADMIT_ITEM_OVERHEAD);
    if (!room)
        return TRIB_REJECT_TOO_LARGE;
    struct trib_cbor_reader r;
    struct trib_text schema;
    trib_cbor_reader_init(&r, event->fields + name->value_at, name->end - name->value_at);
    schema.ptr = trib_cbor_get_text(&r, &schema.len);
    int code =
        gw_custom_judge(rules, a->input->schema_scratch, schema, data ? event->fields + data->value_at : NULL,
                        data ? data->end - data->value_at : 0, room, NULL, &a->custom);
    if (!a->input->again)
        gw_custom_count(&a->custom, code);
    return code;
}

/* NAME@N: the version that judged it, whatever the device said. */
uint8_t *gw_admit_pinned(const struct gw_admission *a, uint8_t *out)
{
    const struct gw_schema_version *version = a->custom.version;
    char text[GW_SUBJECT_MAX + 12];
    int len =
        snprintf(text, sizeof text, "%s@%u", gw_schema_subject_name(version->subject), version->version);
    struct trib_cbor_writer w;
    trib_cbor_writer_init(&w, out, sizeof text + 9);
    trib_cbor_put_text(&w, text, (size_t)len);
    return out + w.len;
}

static bool is_stored(const struct gw_custom_member *member)
{
    return member->privacy != GW_PRIVACY_SECRET;
}

/* What is personal becomes the pseudonym of its text, or of its bytes if it is no text. */
static uint8_t *write_masked(struct gw_admission *a, const struct gw_custom_member *member, uint8_t *out)
{
    const uint8_t *value = a->custom.data + member->value_at;
    struct trib_text plain = {(const char *)value, member->end - member->value_at};
    struct trib_cbor_reader r;
    trib_cbor_reader_init(&r, value, plain.len);
    if (trib_cbor_peek(&r) == TRIB_CBOR_TEXT)
        plain.ptr = trib_cbor_get_text(&r, &plain.len);
    return gw_admit_write_pseudonym(a, plain, out);
}

uint8_t *gw_admit_attributes(struct gw_admission *a, uint8_t *out)
{
    const struct gw_custom *custom = &a->custom;
    uint32_t stored = 0;
    for (uint32_t i = 0; i < custom->member_count; i++)
        stored += is_stored(&custom->members[i]);
    struct trib_cbor_writer w;
    trib_cbor_writer_init(&w, out, GW_ADMIT_ITEM_OVERHEAD);
    trib_cbor_put_map(&w, stored);
    out += w.len;
    for (uint32_t i = 0; out && i < custom->member_count; i++) {
        const struct gw_custom_member *member = &custom->members[i];
        if (!is_stored(member))
            continue;
#ifdef GW_MUTANT_NO_MASK
        const bool masked = false;
#else
        const bool masked = member->privacy == GW_PRIVACY_PERSONAL;
#endif
        const size_t plain = (masked ? member->value_at : member->end) - member->key_at;
        memcpy(out, custom->data + member->key_at, plain);
        out += plain;
        if (masked)
            out = write_masked(a, member, out);
    }
    return out;
}
