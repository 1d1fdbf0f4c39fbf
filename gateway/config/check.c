#include "config/check.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/cores.h"
#include "config/expand.h"
#include "config/keys.h"
#include "config/nearest.h"
#include "config/units.h"

#define SHOWN_MAX 60 /* bytes of a wrong value in an error */

__attribute__((format(printf, 3, 4))) static int complain(struct gw_check *check, const cJSON *at,
                                                          const char *format, ...)
{
    char text[400];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return gw_report_add(check->report, GW_EINVALID, check->tree->path,
                         at ? gw_tree_line(check->tree, at) : 0, "%s", text);
}

/* --- unknown keys --- */

/* The key people most likely meant by section.name: same section first, then the same name elsewhere. */
static const struct gw_config_key *nearest_key(const char *section, const char *name)
{
    const struct gw_config_key *best = NULL;
    size_t best_distance = gw_nearest_tolerance(name) + 1;
    for (size_t i = 0; i < gw_config_key_count; i++) {
        const struct gw_config_key *key = &gw_config_keys[i];
        bool here = strcmp(key->section, section) == 0;
        size_t distance = gw_nearest_distance(key->name, name);
        /* The beginning of a name counts as a slip: `keepalive_ms` for `keepalive`, `flush` for `flush_size`.
         */
        size_t shorter = strlen(key->name) < strlen(name) ? strlen(key->name) : strlen(name);
        if (here && shorter >= 3 && strncmp(key->name, name, shorter) == 0)
            distance = 1;
        if (!here && distance > 0)
            continue;
        if (distance < best_distance ||
            (here && best && distance == best_distance && strcmp(best->section, section) != 0)) {
            best = key;
            best_distance = distance;
        }
    }
    return best;
}

static void unknown_key(struct gw_check *check, const char *section, const cJSON *node)
{
    const struct gw_config_key *key = nearest_key(section, node->string);
    if (key) {
        (void)complain(check, node, "unknown key `%s.%s`: did you mean `%s`?", section, node->string,
                       key->path);
        return;
    }
    char names[256] = "";
    for (size_t i = 0; i < gw_config_key_count; i++) {
        size_t len = strlen(names);
        if (strcmp(gw_config_keys[i].section, section) == 0)
            snprintf(names + len, sizeof names - len, "%s%s", len ? ", " : "", gw_config_keys[i].name);
    }
    (void)complain(check, node, "unknown key `%s.%s`: `%s` has %s", section, node->string, section, names);
}

static void unknown_section(struct gw_check *check, const cJSON *node)
{
    const char *best = NULL;
    size_t best_distance = gw_nearest_tolerance(node->string) + 1;
    char names[256] = "";
    for (size_t i = 0; i < gw_config_section_count; i++) {
        const char *name = gw_config_sections[i].name;
        size_t distance = gw_nearest_distance(name, node->string);
        if (distance < best_distance) {
            best = name;
            best_distance = distance;
        }
        size_t len = strlen(names);
        snprintf(names + len, sizeof names - len, "%s%s", len ? ", " : "", name);
    }
    for (size_t i = 0; i < gw_config_key_count; i++) {
        const struct gw_config_key *key = &gw_config_keys[i];
        if (strcmp(key->path, node->string) == 0) {
            (void)complain(check, node, "unknown key `%s`: write `%s:` and, indented below it, `%s:`",
                           node->string, key->section, key->name);
            return;
        }
        if (!best && strcmp(key->name, node->string) == 0)
            best = key->path;
    }
    if (best)
        (void)complain(check, node, "unknown key `%s`: did you mean `%s`?", node->string, best);
    else
        (void)complain(check, node, "unknown key `%s`: the sections are %s", node->string, names);
}

/* --- values --- */

static const char *kind_of(const cJSON *node)
{
    return cJSON_IsArray(node) ? "a list" : cJSON_IsObject(node) ? "a mapping" : "a value";
}

/* As it stands in the file, never as expanded: a variable may hold what logs must not show. */
static int wrong_value(struct gw_check *check, const cJSON *node, const struct gw_config_key *key)
{
    char expected[GW_CONFIG_VALUE_TEXT_MAX];
    gw_config_expected(key, expected);
    if (!node || !cJSON_IsString(node))
        return complain(check, node, "`%s` is %s: it must be %s", key->path, node ? kind_of(node) : "wrong",
                        expected);
    const char *written = node->valuestring;
    if (strchr(written, '$'))
        return complain(check, node, "`%s` is `%.*s`, and what that expands to is not %s", key->path,
                        SHOWN_MAX, written, expected);
    return complain(check, node, "`%s` is `%.*s%s`: it must be %s", key->path, SHOWN_MAX, written,
                    strlen(written) > SHOWN_MAX ? "..." : "", expected);
}

static void *member(const struct gw_check *check, size_t offset)
{
    return (char *)check->config + offset;
}

/* A relative path is relative to the configuration file, wherever the gateway was started. */
static const char *resolve(struct gw_check *check, const char *path)
{
    const char *slash = strrchr(check->tree->path, '/');
    if (!*path || *path == '/' || !slash)
        return path;
    size_t folder_len = (size_t)(slash - check->tree->path) + 1, len = strlen(path);
    char *joined = gw_arena_alloc(check->arena, folder_len + len + 1);
    if (!joined)
        return NULL;
    memcpy(joined, check->tree->path, folder_len);
    memcpy(joined + folder_len, path, len + 1);
    return joined;
}

static bool is_choice(const char *choices, const char *text)
{
    size_t len = strlen(text);
    for (const char *p = choices; *p; p += strspn(p, ", ")) {
        size_t word = strcspn(p, ", ");
        if (word == len && memcmp(p, text, len) == 0)
            return true;
        p += word;
    }
    return false;
}

/* Parses text into the member; false if it is not of the type or out of range. */
static bool store_number(const struct gw_config_key *key, const char *text, void *into)
{
    uint64_t value;
    bool read = false;
    switch (key->type) {
    case GW_CONFIG_SIZE32:
    case GW_CONFIG_SIZE64:
        read = gw_units_size(text, &value);
        break;
    case GW_CONFIG_TIME_MS32:
        read = gw_units_duration(text, &value);
        break;
    case GW_CONFIG_TIME_S32:
        read = gw_units_duration(text, &value) && value % 1000 == 0;
        value = read ? value / 1000 : 0;
        break;
    default:
        read = gw_units_number(text, &value);
        break;
    }
    if (!read || value < key->least || value > key->most)
        return false;
    if (key->type == GW_CONFIG_PORT)
        *(uint16_t *)into = (uint16_t)value;
    else if (key->type == GW_CONFIG_SIZE64)
        *(uint64_t *)into = value;
    else
        *(uint32_t *)into = (uint32_t)value;
    return true;
}

/* text: expanded, in the arena. node: NULL for a default. */
static int store(struct gw_check *check, const struct gw_config_key *key, const cJSON *node, const char *text,
                 size_t item)
{
    void *into = member(check, key->offset);
    bool good = true;
    size_t len = strlen(text);
    switch (key->type) {
    case GW_CONFIG_BOOL:
        good = strcmp(text, "true") == 0 || strcmp(text, "false") == 0;
        if (good)
            *(bool *)into = text[0] == 't';
        break;
    case GW_CONFIG_CHOICE:
        good = is_choice(key->example, text);
        if (good)
            *(const char **)into = text;
        break;
    case GW_CONFIG_PATH:
    case GW_CONFIG_TEXT:
        good = key->list ? len >= 1 && len <= 4096 : node == NULL || (len >= key->least && len <= key->most);
        if (good && key->type == GW_CONFIG_PATH) {
            text = resolve(check, text);
            if (!text)
                return gw_report_add(check->report, GW_ENOMEM, check->tree->path, 0, "out of memory");
        }
        if (good)
            ((const char **)into)[item] = text;
        break;
    default:
        good = store_number(key, text, into);
        break;
    }
    return good ? GW_OK : wrong_value(check, node, key);
}

static int take_scalar(struct gw_check *check, const struct gw_config_key *key, const cJSON *node,
                       size_t item)
{
    if (!cJSON_IsString(node))
        return wrong_value(check, node, key);
    char *text;
    struct gw_error error = {0};
    int rc = gw_expand(node->valuestring, check->environment, check->context, check->arena, &text, &error);
    if (rc != GW_OK)
        return complain(check, node, "`%s`: %s", key->path, error.text);
    return store(check, key, node, text, item);
}

/* A single value serves as a list of one. */
static int take_list(struct gw_check *check, const struct gw_config_key *key, const cJSON *node)
{
    size_t *count = member(check, key->count_offset);
    size_t given = cJSON_IsArray(node) ? (size_t)cJSON_GetArraySize(node) : 1;
    if (given > key->most)
        return complain(check, node, "`%s` has %zu entries: there may be %" PRIu64, key->path, given,
                        key->most);
    const cJSON *item = cJSON_IsArray(node) ? node->child : node;
    for (size_t i = 0; i < given; i++, item = item->next) {
        int rc = take_scalar(check, key, item, i);
        if (rc != GW_OK)
            return rc;
    }
    *count = given;
    return GW_OK;
}

/* --- the whole --- */

static void check_known(struct gw_check *check)
{
    const cJSON *section, *node;
    cJSON_ArrayForEach(section, check->tree->root)
    {
        bool known = false;
        for (size_t i = 0; i < gw_config_section_count; i++)
            known = known || strcmp(gw_config_sections[i].name, section->string) == 0;
        if (!known) {
            unknown_section(check, section);
            continue;
        }
        if (cJSON_IsNull(section))
            continue;
        if (!cJSON_IsObject(section)) {
            (void)complain(check, section, "`%s` is %s: write its keys indented below it", section->string,
                           kind_of(section));
            continue;
        }
        cJSON_ArrayForEach(node, section)
        {
            bool found = false;
            for (size_t i = 0; i < gw_config_key_count; i++)
                found = found || (strcmp(gw_config_keys[i].section, section->string) == 0 &&
                                  strcmp(gw_config_keys[i].name, node->string) == 0);
            if (!found)
                unknown_key(check, section->string, node);
        }
    }
}

static const cJSON *find(const struct gw_check *check, const char *section, const char *name)
{
    const cJSON *mapping = cJSON_GetObjectItemCaseSensitive(check->tree->root, section);
    const cJSON *node = cJSON_IsObject(mapping) ? cJSON_GetObjectItemCaseSensitive(mapping, name) : NULL;
    return cJSON_IsNull(node) ? NULL : node;
}

static void missing(struct gw_check *check, const struct gw_config_key *key)
{
    const cJSON *section = cJSON_GetObjectItemCaseSensitive(check->tree->root, key->section);
    if (cJSON_IsObject(section))
        (void)complain(check, section, "`%s` is missing: add `%s:` below `%s:`. %s", key->path, key->name,
                       key->section, key->text);
    else if (!section || cJSON_IsNull(section))
        (void)complain(check, section, "`%s` is missing: add `%s:` and, indented below it, `%s:`. %s",
                       key->path, key->section, key->name, key->text);
}

static void take_values(struct gw_check *check)
{
    for (size_t i = 0; i < gw_config_key_count; i++) {
        const struct gw_config_key *key = &gw_config_keys[i];
        const cJSON *node = find(check, key->section, key->name);
        if (node)
            (void)(key->list ? take_list(check, key, node) : take_scalar(check, key, node, 0));
        else if (key->required)
            missing(check, key);
    }
}

static int set_defaults(struct gw_check *check)
{
    for (size_t i = 0; i < gw_config_key_count; i++) {
        if (gw_config_keys[i].list)
            continue;
        int rc = store(check, &gw_config_keys[i], NULL, gw_config_keys[i].fallback, 0);
        if (rc != GW_OK)
            return rc;
    }
    return GW_OK;
}

static bool is_key_id(const char *text)
{
    return text[strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789")] == 0;
}

/* What a device takes: some host, a colon, a port; 128 bytes of it. */
static bool is_authority(const char *text)
{
    const char *colon = strrchr(text, ':');
    uint64_t port;
    return colon && colon > text && strlen(text) <= 128 && gw_units_number(colon + 1, &port) && port >= 1 &&
           port <= 65535 && strcspn(text, " /@") == strlen(text) &&
           (text[0] == '[' ? colon[-1] == ']' : memchr(text, ':', (size_t)(colon - text)) == NULL);
}

static void check_cpus(struct gw_check *check, const char *section, const char *list)
{
    cpu_set_t cpus;
    if (list[0] != '\0' && gw_cores_parse(list, &cpus) != GW_OK)
        (void)complain(check, find(check, section, "cpus"),
                       "`%s.cpus` is `%.*s`: it must be numbers of CPUs, such as 1 or 0,2-3", section,
                       SHOWN_MAX, list);
}

/* Rules between keys; only worth saying once each key by itself is right. */
static void check_together(struct gw_check *check)
{
    const struct gw_config *c = check->config;
    const cJSON *root = check->tree->root;
    if (c->auth.client_ca_count == 0 && !*c->auth.jwks)
        (void)complain(
            check, cJSON_GetObjectItemCaseSensitive(root, "auth"),
            "no device could connect: give `auth.client_ca` (client certificates) or `auth.jwks` (tokens)");
    if (*c->auth.jwks && !*c->auth.audience)
        (void)complain(check, find(check, "auth", "jwks"),
                       "`auth.jwks` needs `auth.audience`: the `aud` tokens must carry");
    if (c->listen.path[0] != '/')
        (void)complain(check, find(check, "listen", "path"), "`listen.path` must begin with `/`");
    if (c->devices.heartbeat_ms > 0 && c->devices.heartbeat_ms < 1000)
        (void)complain(check, find(check, "devices", "heartbeat"),
                       "`devices.heartbeat` must be at least 1s, or 0s for the app's own");
    for (size_t i = 0; i < c->drain.alternate_count; i++)
        if (!is_authority(c->drain.alternates[i]))
            (void)complain(check, find(check, "drain", "alternates"),
                           "`drain.alternates`: `%.*s` must be host:port, with an IPv6 address in brackets",
                           SHOWN_MAX, c->drain.alternates[i]);
    check_cpus(check, "listen", c->listen.cpus);
    check_cpus(check, "journal", c->journal.cpus);
    if (!is_key_id(c->privacy.pseudonym_key_id))
        (void)complain(check, find(check, "privacy", "pseudonym_key_id"),
                       "`privacy.pseudonym_key_id` may hold only a-z and 0-9");
    if (!is_key_id(c->privacy.seal_key_id))
        (void)complain(check, find(check, "privacy", "seal_key_id"),
                       "`privacy.seal_key_id` may hold only a-z and 0-9");
    if (c->limits.event_bytes > c->limits.message_bytes)
        (void)complain(
            check, find(check, "limits", "event_size"),
            "`limits.event_size` is larger than `limits.message_size`: no message could carry such an event");
    if (c->limits.message_bytes > c->limits.credit_bytes)
        (void)complain(check, find(check, "limits", "message_size"),
                       "`limits.message_size` is larger than `limits.credit_size`: no connection could send "
                       "such a message");
    if (c->limits.credit_bytes > c->limits.memory_bytes)
        (void)complain(
            check, find(check, "limits", "credit_size"),
            "`limits.credit_size` is larger than `limits.memory`: not even one connection could use it");
    if (gw_config_segment_bytes(c) < gw_config_message_segment_bytes(c)) {
        char needed[GW_UNITS_TEXT_MAX];
        (void)gw_units_size_text(gw_config_message_segment_bytes(c), needed);
        (void)complain(check, find(check, "limits", "message_size"),
                       "`limits.message_size` needs a `data.segment_size`, and a quarter of `data.quota` if "
                       "there is one, of at least %s: else a message might never fit",
                       needed);
    }
}

int gw_check_tree(struct gw_check *check)
{
    const cJSON *root = check->tree->root;
    int rc = set_defaults(check);
    if (rc != GW_OK)
        return rc;
    if (root && !cJSON_IsNull(root) && !cJSON_IsObject(root))
        return complain(check, root, "the file is %s: it must be a mapping of sections, such as `listen:`",
                        kind_of(root));
    check_known(check);
    take_values(check);
    if (check->report->count == 0)
        check_together(check);
    return check->report->count ? check->report->errors[0].code : GW_OK;
}
