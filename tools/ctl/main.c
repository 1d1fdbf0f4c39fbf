/* tributaryctl: the operator's view of a gateway. Options before the command, one command, its arguments. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/layout.h"
#include "config/config.h"
#include "ctl.h"

static const struct command {
    const char *name;
    ctl_command run;
    const char *arguments, *summary, *help;
} commands[] = {
    {"status", ctl_status, "", "how the gateway is: readiness, events, journal, sinks",
     "Asks the running gateway. Exit code 1 if it is not ready; the reasons are shown.\n"},
    {"stream", ctl_stream, "cat|tail|stats", "read the embedded stream, also while the gateway writes it",
     "  stream cat [--from N] [--limit N] [--type T] [--device D] [--numbers]\n"
     "                  every event as a line of JSON; --numbers puts its number in the stream first\n"
     "  stream tail [-f] [-n N] [--type T] [--device D]\n"
     "                  the last N events (10); -f goes on with what comes. Columns in a terminal, else JSON "
     "lines\n"
     "  stream stats    events by type, devices, first and last time, size\n"
     "\n"
     "Reads the files in the data folder (--data or --config); the gateway need not run. Exit code 1 if "
     "damaged places\n"
     "were stepped over.\n"},
    {"journal", ctl_journal, "inspect|verify|...", "look at the journal, save it, mend it",
     "  journal inspect          offsets, segments, quarantine, sinks\n"
     "  journal verify           compares all that is stored with its digests and changes nothing; --data "
     "may be a "
     "backup\n"
     "  journal export [--from OFFSET] [--limit ENTRIES]\n"
     "                           events as lines of JSON, each with the offset of its entry\n"
     "  journal backup FOLDER    everything acked that is still in the journal, and the registered schemas, "
     "into a "
     "new\n"
     "                           folder outside the data folder; on another file system by a copy\n"
     "  journal restore BACKUP   makes a journal in --data of what is sound in BACKUP, under a new epoch, "
     "and\n"
     "                           puts back the schemas\n"
     "  journal salvage          appends anew what is whole in damaged segments; makes a lost meta of the "
     "segments\n"
     "  journal upgrade          brings the files to the newest format\n"
     "\n"
     "inspect and backup ask the running gateway; without one, and for the others, it takes the journal's "
     "lock: "
     "the gateway\n"
     "must be stopped. Keys, stream and lake are no part of a backup. Exit code 1 if anything is damaged or "
     "was left "
     "out.\n"},
    {"quarantine", ctl_quarantine, "list|show|...", "what was rejected, and why; try it again, or drop it",
     "  quarantine list [--limit N]           the oldest N (1000) of the events that are kept sealed for 7 "
     "days, "
     "with the reason\n"
     "  quarantine show DEVICE/STREAM/SEQ     what one of them lacks by today's schemas\n"
     "  quarantine redrive WHICH              those that are valid now go to the stream and the lake, under "
     "their "
     "own\n"
     "                                        identity and marked as re-driven; the others stay\n"
     "  quarantine drop WHICH                 gone for good\n"
     "\n"
     "WHICH: --id DEVICE/STREAM/SEQ, --device D, --schema NAME (all given must hold), or --all.\n"
     "redrive and drop go in steps of 512 events, with their progress on a terminal; one that was cut short "
     "is "
     "begun\n"
     "again: what was settled is not settled twice.\n"
     "Asks the running gateway; for list, without one it takes the lock and opens the journal itself. What "
     "an "
     "event holds\n"
     "stays sealed.\n"},
    {"reload", ctl_reload, "", "take configuration, certificates and credentials anew",
     "The running gateway reads its configuration and the files that it names, checks all, then changes all "
     "or nothing.\n"
     "Devices that are not let in any more are cut. Exit code 4 with the reason if it changes nothing; "
     "docs/operating.md\n"
     "says what a reload can change.\n"},
    {"check-config", ctl_check_config, "FILE", "check a configuration without starting anything",
     "Shows everything that is wrong, with file and line, or the effective configuration with worst-case "
     "memory and\n"
     "how long the disk lasts. Exit code 1 if anything is wrong or a file it names cannot be read.\n"},
    {"schema", ctl_schema, "validate|...", "judge events by a schema, and schemas by those before them",
     "  schema validate SCHEMA INSTANCE…    exit code 0 if every instance is valid, else 1 with the faults "
     "of each\n"
     "  schema test SCHEMA DIR              examples: DIR/valid/*.json must be valid, DIR/invalid/*.json "
     "must not\n"
     "  schema lint SCHEMA…                 what is worth a second look: no owner, no type, sounds personal\n"
     "  schema diff OLD NEW                 what changed, and whether the new one may follow the old one\n"
     "  schema check --folder DIR [SUBJECT FILE]\n"
     "                  whether all of a folder (SUBJECT/VERSION.json) may follow each other, or FILE may be "
     "next\n"
     "  schema register [--folder DIR] SUBJECT FILE\n"
     "                  at the running gateway, or as the next file of a folder\n"
     "  schema export --odcs (--folder DIR or --data DIR) SUBJECT [VERSION]\n"
     "                  as an open data contract (ODCS 3.1, JSON)\n"
     "  --level L       of check and register --folder: NONE, or BACKWARD, FORWARD or FULL, alone or with "
     "_TRANSITIVE\n"
     "                  (default BACKWARD_TRANSITIVE); the rules: docs/schemas.md\n"
     "\n"
     "  schema suite DIR [--verbose]        runs files in the format of the official JSON Schema test suite: "
     "prints each\n"
     "                  failing case (--verbose: every case) and N of M; exit code 1 if any failed\n"
     "\n"
     "  --remotes DIR   where referenced documents lie: http://localhost:1234/a.json is DIR/a.json,\n"
     "                  http://example.org/a.json is DIR/example.org/a.json; nothing is fetched\n"
     "  --draft D       of schemas without $schema: 2020-12 (default) or 7\n"
     "  --formats       `format` decides (2020-12 has it as an annotation)\n"},
    {"catalog", ctl_catalog, "", "what data there is, where it lies, who answers for it",
     "  catalog [--folder DIR] [--markdown]   built-in events and registered schemas; --markdown: a page "
     "with "
     "their "
     "attributes\n"
     "\n"
     "Reads the registry in the data folder (--data or --config; the gateway may run), or a folder of "
     "SUBJECT/VERSION.json.\n"},
    {"reference", ctl_reference, "TOPIC",
     "print a reference: configuration, metrics, or an example configuration",
     "Topics: configuration and metrics (Markdown), example (a configuration file with every key and its "
     "default).\n"},
};
#define COMMAND_COUNT (sizeof commands / sizeof commands[0])

static const char options_text[] =
    "Which gateway (before or behind the command):\n"
    "  --config FILE   its configuration file: data.folder and admin.socket are taken from there\n"
    "  --data DIR      its data folder\n"
    "  --socket PATH   its admin socket\n"
    "  Without any of these, the environment variable TRIBUTARY_DATA names the data folder.\n"
    "\n"
    "  --json          print JSON for programs instead of text for people\n"
    "  --help, --version\n"
    "\n"
    "Exit codes: 0 good; 1 what was asked about is not well; 2 wrong usage; 3 no gateway answers; 4 failure "
    "outside.\n";

static int print_help(const char *topic)
{
    for (size_t i = 0; topic && i < COMMAND_COUNT; i++) {
        if (strcmp(commands[i].name, topic) != 0)
            continue;
        printf("tributaryctl [OPTIONS] %s %s\n\n%s\n%s", topic, commands[i].arguments, commands[i].help,
               options_text);
        return CTL_OK;
    }
    if (topic)
        return ctl_fail(CTL_USAGE, "there is no command `%s`; tributaryctl help lists them", topic);
    puts("tributaryctl: look at a Tributary gateway and at what it has stored.\n\n"
         "  tributaryctl [OPTIONS] COMMAND [ARGUMENTS]\n\nCommands:");
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        printf("  %-14s %-8s %s\n", commands[i].name, commands[i].arguments, commands[i].summary);
    printf("  %-14s %-8s %s\n\n%s", "help", "[COMMAND]", "more about a command", options_text);
    return CTL_OK;
}

static char *joined(const char *folder, const char *name)
{
    char *path;
    if (asprintf(&path, "%s/%s", folder, name) < 0)
        abort();
    return path;
}

static char *copied(const char *text)
{
    char *copy = strdup(text);
    if (!copy)
        abort();
    return copy;
}

static int take_config(struct ctl *ctl, const char *path)
{
    struct gw_config config;
    struct gw_error error;
    if (gw_config_load(path, &config, &error) != GW_OK)
        return ctl_fail(CTL_BAD, "%s", error.text);
    free(ctl->data);
    free(ctl->socket);
    ctl->data = copied(config.data.folder);
    ctl->socket = *config.admin.socket ? copied(config.admin.socket) : NULL;
    gw_config_free(&config);
    return CTL_OK;
}

static int take_option(struct ctl *ctl, const char *name, char *value)
{
    if (!value)
        return ctl_fail(CTL_USAGE, "%s needs a value", name);
    if (strcmp(name, "--config") == 0)
        return take_config(ctl, value);
    char **into = strcmp(name, "--data") == 0 ? &ctl->data : &ctl->socket;
    free(*into);
    *into = copied(value);
    return CTL_OK;
}

static bool is_one_of(const char *name, const char *const *names)
{
    while (*names && strcmp(*names, name) != 0)
        names++;
    return *names != NULL;
}

/* Takes the options of all commands out of argv, wherever they stand; *out_count words are left in their order. */
static int take_options(struct ctl *ctl, int argc, char **argv, int *out_count)
{
    static const char *const with_value[] = {"--config", "--data", "--socket", NULL};
    int rc = CTL_OK, count = 0;
    for (int i = 1; i < argc && rc == CTL_OK; i++) {
        if (is_one_of(argv[i], with_value)) {
            rc = take_option(ctl, argv[i], argv[i + 1]);
            i++;
        } else if (strcmp(argv[i], "--json") == 0) {
            ctl->json = true;
        } else {
            argv[count++] = argv[i];
        }
    }
    *out_count = count;
    return rc;
}

static void find_gateway(struct ctl *ctl)
{
    const char *environment = getenv("TRIBUTARY_DATA");
    if (!ctl->data && !ctl->socket && environment && *environment)
        ctl->data = copied(environment);
    if (!ctl->socket && ctl->data)
        ctl->socket = joined(ctl->data, GW_LAYOUT_RUN "/admin.sock");
}

static bool asks_for_help(const char *word)
{
    static const char *const names[] = {"--help", "-h", "help", NULL};
    return is_one_of(word, names);
}

static int run(struct ctl *ctl, int argc, char **argv)
{
    int count;
    int rc = take_options(ctl, argc, argv, &count);
    if (rc != CTL_OK)
        return rc;
    if (count == 0) {
        (void)print_help(NULL);
        return CTL_USAGE;
    }
    if (asks_for_help(argv[0]))
        return print_help(count > 1 ? argv[1] : NULL);
    if (strcmp(argv[0], "--version") == 0) {
        puts("tributaryctl " TRIBUTARY_VERSION);
        return CTL_OK;
    }
    find_gateway(ctl);
    ctl->argument_count = count - 1;
    ctl->arguments = argv + 1;
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (strcmp(commands[i].name, argv[0]) != 0)
            continue;
        for (int word = 1; word < count; word++)
            if (asks_for_help(argv[word]))
                return print_help(argv[0]);
        return commands[i].run(ctl);
    }
    return ctl_fail(CTL_USAGE, "there is no %s `%s`; tributaryctl help lists them all",
                    argv[0][0] == '-' ? "option" : "command", argv[0]);
}

int main(int argc, char **argv)
{
    struct ctl ctl = {.colour = isatty(STDOUT_FILENO) && !getenv("NO_COLOR")};
    int rc = run(&ctl, argc, argv);
    free(ctl.data);
    free(ctl.socket);
    if (fflush(stdout) != 0 && rc == CTL_OK)
        rc = ctl_fail(CTL_FAILED, "the output cannot be written");
    return rc;
}
