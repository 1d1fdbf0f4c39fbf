/* Per-schema counters, bounded: a row an id, the ids beyond share the last. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>

#include "schema/program.h"
#include "session/custom.h"

#define OTHER_REASONS 3 /* a schema `false`, malformed, too large */
#define REASONS (GW_KW_COUNT + OTHER_REASONS)

struct row {
    _Atomic(const struct gw_schema_version *) version; /* the first that was counted, for its name */
    atomic_uint_fast64_t valid, undeclared, invalid[REASONS];
};

static struct row rows[GW_CUSTOM_COUNTED + 1];

static void add(atomic_uint_fast64_t *counter, uint64_t amount)
{
    (void)atomic_fetch_add_explicit(counter, amount, memory_order_relaxed);
}

static unsigned reason_of(const struct gw_custom *custom, int code)
{
    if (code == TRIB_REJECT_MALFORMED)
        return GW_KW_COUNT + 1;
    return code == TRIB_REJECT_TOO_LARGE ? GW_KW_COUNT + 2 : custom->keyword;
}

static const char *reason_name(unsigned reason)
{
    static const char *const others[OTHER_REASONS] = {"false", "malformed", "limit"};
    return reason < GW_KW_COUNT ? gw_keyword_names[reason].text : others[reason - GW_KW_COUNT];
}

void gw_custom_count(const struct gw_custom *custom, int code)
{
    if (!custom->version)
        return;
    const uint32_t id = custom->version->schema->id;
    struct row *row = &rows[id <= GW_CUSTOM_COUNTED ? id - 1 : GW_CUSTOM_COUNTED];
    if (!atomic_load_explicit(&row->version, memory_order_relaxed))
        atomic_store_explicit(&row->version, custom->version, memory_order_release);
    if (code == 0)
        add(&row->valid, 1);
    else
        add(&row->invalid[reason_of(custom, code)], 1);
    if (custom->undeclared > 0)
        add(&row->undeclared, custom->undeclared);
}

/* --- rendering --- */

struct text_out {
    char *buffer;
    size_t capacity, len;
};

__attribute__((format(printf, 2, 3))) static void print(struct text_out *o, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(o->len < o->capacity ? o->buffer + o->len : NULL,
                      o->len < o->capacity ? o->capacity - o->len : 0, format, args);
    va_end(args);
    if (n > 0)
        o->len += (size_t)n;
}

static void print_row(struct text_out *o, const char *name, size_t index, const char *keyword, uint64_t value)
{
    const struct gw_schema_version *version =
        atomic_load_explicit(&rows[index].version, memory_order_acquire);
    if (!version || value == 0)
        return;
    if (index == GW_CUSTOM_COUNTED)
        print(o, "%s{schema=\"other\"", name);
    else
        print(o, "%s{schema=\"%s\",version=\"%" PRIu32 "\",id=\"%" PRIu32 "\"", name,
              gw_schema_subject_name(version->subject), version->version, version->schema->id);
    if (keyword)
        print(o, ",keyword=\"%s\"", keyword);
    print(o, "} %" PRIu64 "\n", value);
}

size_t gw_custom_render(char *buffer, size_t capacity)
{
    struct text_out out = {buffer, capacity, 0}, *o = &out;
    static const char valid[] = "tributary_schema_valid_total", invalid[] = "tributary_schema_invalid_total",
                      undeclared[] = "tributary_schema_undeclared_total";
    print(o, "# HELP %s custom events that their schema found valid\n# TYPE %s counter\n", valid, valid);
    for (size_t i = 0; i <= GW_CUSTOM_COUNTED; i++)
        print_row(o, valid, i, NULL, atomic_load(&rows[i].valid));
    print(o, "# HELP %s custom events that their schema refused, by keyword\n# TYPE %s counter\n", invalid,
          invalid);
    for (size_t i = 0; i <= GW_CUSTOM_COUNTED; i++)
        for (unsigned reason = 0; reason < REASONS; reason++)
            print_row(o, invalid, i, reason_name(reason), atomic_load(&rows[i].invalid[reason]));
    print(o, "# HELP %s attributes that the schema does not declare\n# TYPE %s counter\n", undeclared,
          undeclared);
    for (size_t i = 0; i <= GW_CUSTOM_COUNTED; i++)
        print_row(o, undeclared, i, NULL, atomic_load(&rows[i].undeclared));
    return out.len;
}

void gw_custom_forget(void)
{
    for (size_t i = 0; i <= GW_CUSTOM_COUNTED; i++) {
        atomic_store(&rows[i].version, NULL);
        atomic_store(&rows[i].valid, 0);
        atomic_store(&rows[i].undeclared, 0);
        for (unsigned reason = 0; reason < REASONS; reason++)
            atomic_store(&rows[i].invalid[reason], 0);
    }
}
