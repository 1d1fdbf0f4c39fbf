/* What people read about the configuration: the effective one, the reference page, the example file. */
#include <inttypes.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/cores.h"
#include "config/config.h"
#include "config/keys.h"
#include "config/units.h"

/* Paths of 4096 bytes, relative ones with the folder of the configuration file before them. */
#define VALUE_MAX 8300
/* A TLS connection that has sent messages: 24 KiB were measured. */
#define CONNECTION_BYTES (32 * 1024)
/* An ingest thread's loop, buffers and stack in use; a remembered pseudonym; batches kept for reuse, of all threads. */
#define THREAD_BYTES (512u << 10)
#define PSEUDONYM_BYTES 48
#define POOL_BYTES (8u << 20)
/* What a sink reads the journal into, and as much again that it writes. */
#define SINK_BUFFER_BYTES (8 * 1024 * 1024)
/*
 * Disk for a built-in event. Journal: 220 to 270 bytes were measured where each comes in a batch of its own, 80 in
 * batches of ten. JSON in stream or lake: 390 to 440.
 */
#define JOURNAL_EVENT_BYTES 250
#define JSON_EVENT_BYTES 450

/* What YAML takes plain wherever it stands, and as the same text. */
static bool is_plain(const char *text)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./-:";
    return strspn(text, plain) == strlen(text) && strchr("-:", text[0]) == NULL &&
           text[strlen(text) - 1] != ':' && strcmp(text, "null") != 0;
}

/* Line breaks beyond ASCII (NEL, LS, PS), other C1 controls and the byte order mark: YAML would change them. */
static uint32_t escaped_character(const unsigned char *p, size_t *out_len)
{
    *out_len = 2;
    if (p[0] == 0xc2 && p[1] < 0xa0)
        return p[1];
    *out_len = 3;
    if (p[0] == 0xe2 && p[1] == 0x80 && (p[2] == 0xa8 || p[2] == 0xa9))
        return 0x2000 + (uint32_t)p[2] - 0x80;
    return p[0] == 0xef && p[1] == 0xbb && p[2] == 0xbf ? 0xfeff : 0;
}

/* As YAML that loads to the same text again. */
static void print_scalar(const char *text, FILE *out)
{
    if (is_plain(text)) {
        fputs(text, out);
        return;
    }
    fputc('"', out);
    for (const unsigned char *p = (const unsigned char *)text; *p;) {
        size_t len = 1;
        uint32_t escaped = *p < 0x20 || *p == 0x7f ? *p : *p < 0x80 ? 0 : escaped_character(p, &len);
        if (escaped) {
            fprintf(out, "\\u%04" PRIx32, escaped);
            p += len;
            continue;
        }
        if (*p == '"' || *p == '\\')
            fputc('\\', out);
        else if (*p == '$')
            fputc('$', out);
        fputc(*p++, out);
    }
    fputc('"', out);
}

static void print_value(const struct gw_config *config, const struct gw_config_key *key, FILE *out)
{
    char text[VALUE_MAX];
    size_t count = gw_config_value_count(config, key);
    fprintf(out, "  %s: ", key->name);
    if (key->list)
        fputc('[', out);
    else if (count == 0)
        fputs("\"\"", out);
    for (size_t i = 0; i < count; i++) {
        gw_config_value_text(config, key, i, text, sizeof text);
        fputs(i ? ", " : "", out);
        print_scalar(text, out);
    }
    fputs(key->list ? "]\n" : "\n", out);
}

void gw_config_print_effective(const struct gw_config *config, FILE *out)
{
    for (size_t s = 0; s < gw_config_section_count; s++) {
        fprintf(out, "%s:\n", gw_config_sections[s].name);
        for (size_t i = 0; i < gw_config_key_count; i++)
            if (strcmp(gw_config_keys[i].section, gw_config_sections[s].name) == 0)
                print_value(config, &gw_config_keys[i], out);
    }
}

static void print_memory(const struct gw_config *config, FILE *out)
{
    char a[GW_UNITS_TEXT_MAX], b[GW_UNITS_TEXT_MAX];
    uint64_t connections = (uint64_t)config->limits.connections * CONNECTION_BYTES;
    uint64_t sinks = (config->lake.enabled ? config->lake.flush_bytes + SINK_BUFFER_BYTES : 0) +
                     (config->stream.enabled ? SINK_BUFFER_BYTES : 0);
    uint64_t threads = gw_config_ingest_threads(config, gw_usable_cores());
    uint64_t ingest =
        threads * (THREAD_BYTES + (uint64_t)config->privacy.pseudonym_cache * PSEUDONYM_BYTES) + POOL_BYTES;
    fputs("\nMemory, at worst:\n", out);
    fprintf(out, "  %-11s %" PRIu32 " connections of about %s\n", gw_units_size_about(connections, a),
            config->limits.connections, gw_units_size_about(CONNECTION_BYTES, b));
    fprintf(out, "  %-11s under way from all devices together (limits.memory)\n",
            gw_units_size_about(config->limits.memory_bytes, a));
    fprintf(out, "  %-11s %" PRIu64 " ingest threads, with the pseudonyms that they remember\n",
            gw_units_size_about(ingest, a), threads);
    fprintf(out, "  %-11s buffers of stream and lake\n", gw_units_size_about(sinks, a));
    fprintf(out, "  %-11s altogether\n",
            gw_units_size_about(connections + config->limits.memory_bytes + ingest + sinks, a));
}

/* Free bytes where the folder is, or would be made; false if that cannot be told. */
static bool free_bytes(const char *folder, uint64_t *out_bytes)
{
    char path[VALUE_MAX];
    snprintf(path, sizeof path, "%s", folder);
    struct statvfs disk;
    while (statvfs(path, &disk) != 0) {
        char *slash = strrchr(path, '/');
        if (!slash)
            return false;
        slash[slash == path] = 0; /* keep the root's own slash */
        if (strcmp(path, "/") == 0)
            return statvfs(path, &disk) == 0 ? (*out_bytes = (uint64_t)disk.f_bavail * disk.f_frsize, true)
                                             : false;
    }
    *out_bytes = (uint64_t)disk.f_bavail * disk.f_frsize;
    return true;
}

static void print_disk(const struct gw_config *config, FILE *out)
{
    static const unsigned rates[] = {100, 1000, 10000};
    uint64_t available;
    if (!free_bytes(config->data.folder, &available))
        return;
    uint64_t quota = config->data.quota_bytes;
    uint64_t journal = quota && quota < available ? quota : available;
    uint64_t kept = (config->stream.enabled + config->lake.enabled) * (uint64_t)JSON_EVENT_BYTES;
    char a[GW_UNITS_TEXT_MAX], b[GW_UNITS_TEXT_MAX], c[GW_UNITS_TEXT_MAX];
    fprintf(out, "\nDisk: %s free for data.folder, quota of the journal %s.\n",
            gw_units_size_about(available, a), quota ? gw_units_size_about(quota, b) : "none");
    fprintf(out, "  %-17s %-26s %s\n", "events a second", "journal full if no sink",
            kept ? "disk full with stream" : "");
    fprintf(out, "  %-17s %-26s %s\n", "", "takes anything, after", kept ? "and lake kept, after" : "");
    for (size_t i = 0; i < sizeof rates / sizeof rates[0]; i++)
        fprintf(out, "  %-17u %-26s %s\n", rates[i],
                gw_units_duration_about(journal / JOURNAL_EVENT_BYTES / rates[i], b),
                kept ? gw_units_duration_about(available / kept / rates[i], c) : "");
    fprintf(out, "  (at %d bytes an event in the journal, %d in stream and lake each)\n", JOURNAL_EVENT_BYTES,
            JSON_EVENT_BYTES);
}

static int print_warnings(const struct gw_config *config, FILE *out)
{
    int warnings = 0;
    char path[VALUE_MAX];
    for (size_t i = 0; i < gw_config_key_count; i++) {
        const struct gw_config_key *key = &gw_config_keys[i];
        if (key->type != GW_CONFIG_PATH || strcmp(key->path, "data.folder") == 0 ||
            strcmp(key->path, "admin.socket") == 0)
            continue;
        for (size_t item = 0; item < gw_config_value_count(config, key); item++) {
            gw_config_value_text(config, key, item, path, sizeof path);
            if (access(path, R_OK) == 0)
                continue;
            fprintf(out, "%swarning: `%s`: %s cannot be read: the gateway will not start without it\n",
                    warnings ? "" : "\n", key->path, path);
            warnings++;
        }
    }
    return warnings;
}

int gw_config_check_print(const struct gw_config *config, FILE *out)
{
    gw_config_print_effective(config, out);
    print_memory(config, out);
    print_disk(config, out);
    return print_warnings(config, out);
}

/* --- reference and example --- */

static const char *default_text(const struct gw_config_key *key)
{
    return key->list ? "none" : key->required ? "required" : *key->fallback ? key->fallback : "none";
}

/* The page says once how sizes and times are written; the table need not repeat it. */
static size_t reference_length(const char *expected)
{
    static const char *const tails[] = {", in bytes", " with its unit"};
    for (size_t i = 0; i < sizeof tails / sizeof tails[0]; i++) {
        const char *tail = strstr(expected, tails[i]);
        if (tail)
            return (size_t)(tail - expected);
    }
    return strlen(expected);
}

void gw_config_print_reference(FILE *out)
{
    fputs("# Configuration\n\n"
          "<!-- Made by `tributaryctl reference configuration` from gateway/config/config.def; do not edit. "
          "-->\n\n"
          "`tributaryd --config FILE` reads one YAML file. `tributaryd --check-config --config FILE` checks "
          "it, shows the\n"
          "effective values, the memory it takes at worst and how long the disk lasts. An example with every "
          "key:\n"
          "[gateway/deploy/tributaryd.yaml](../gateway/deploy/tributaryd.yaml).\n\n"
          "- Unknown keys, wrong types and values out of range are errors with file and line; all are shown "
          "at once.\n"
          "- Sizes are bytes, or have a unit: `64KiB`, `256MiB`, `1GiB` (powers of 1024), `64kB`, `1GB` "
          "(powers of 1000).\n"
          "- Times have a unit: `500ms`, `25s`, `5m`, `2h`, `1d`.\n"
          "- Relative paths are relative to the configuration file.\n"
          "- `${NAME}` is replaced by an environment variable, `${NAME:-default}` falls back where it is "
          "unset or empty;\n"
          "  an unset one without default is an error. `$$` is a dollar.\n"
          "- A list may be written as a single value. Anchors, aliases and tags are refused.\n"
          "- Keys with ↻, and the files that they name, are taken anew by a reload (`tributaryctl reload`, "
          "or SIGHUP): "
          "all are\n"
          "  checked first, then all change or none. A reload that would change another key is refused.\n",
          out);
    char expected[GW_CONFIG_VALUE_TEXT_MAX];
    for (size_t s = 0; s < gw_config_section_count; s++) {
        fprintf(out, "\n## %s\n\n%s\n\n| key | default | value | meaning |\n|---|---|---|---|\n",
                gw_config_sections[s].name, gw_config_sections[s].text);
        for (size_t i = 0; i < gw_config_key_count; i++) {
            const struct gw_config_key *key = &gw_config_keys[i];
            if (strcmp(key->section, gw_config_sections[s].name) != 0)
                continue;
            bool code = !key->required && !key->list && *key->fallback;
            gw_config_expected(key, expected);
            expected[reference_length(expected)] = 0;
            fprintf(out, "| `%s`%s | %s%s%s | %s | %s |\n", key->path, gw_config_reloads(key) ? " ↻" : "",
                    code ? "`" : "", default_text(key), code ? "`" : "", expected, key->text);
        }
    }
}

void gw_config_print_example(FILE *out)
{
    fputs("# Configuration of tributaryd: every key with its default. What stands commented out has none.\n"
          "# Made by `tributaryctl reference example` from gateway/config/config.def; docs/configuration.md "
          "explains.\n",
          out);
    for (size_t s = 0; s < gw_config_section_count; s++) {
        fprintf(out, "\n# %s\n%s:\n", gw_config_sections[s].text, gw_config_sections[s].name);
        for (size_t i = 0; i < gw_config_key_count; i++) {
            const struct gw_config_key *key = &gw_config_keys[i];
            if (strcmp(key->section, gw_config_sections[s].name) != 0)
                continue;
            fprintf(out, "  # %s%s\n", key->text, key->required ? " Required." : "");
            bool open = key->required || strcmp(key->path, "auth.client_ca") == 0;
            const char *value = *key->fallback ? key->fallback : key->example;
            fprintf(out, "  %s%s: %s%s%s\n", *key->fallback || open ? "" : "# ", key->name,
                    key->list ? "[" : "", value, key->list ? "]" : "");
        }
    }
}
