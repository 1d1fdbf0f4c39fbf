/* tributaryctl: the operator's view of a gateway. Options before the command, one command, its arguments. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/config.h"
#include "ctl.h"

static const struct command {
    const char *name;
    ctl_command run;
    const char *arguments, *summary, *help;
} commands[] = {
    {"status", ctl_status, "", "how the gateway is: readiness, events, journal, sinks",
     "Asks the running gateway. Exit code 1 if it is not ready; the reasons are shown.\n"},
    {"check-config", ctl_check_config, "FILE", "check a configuration without starting anything",
     "Shows everything that is wrong, with file and line, or the effective configuration with worst-case "
     "memory and\n"
     "how long the disk lasts. Exit code 1 if anything is wrong or a file it names cannot be read.\n"},
    {"reference", ctl_reference, "TOPIC",
     "print a reference: configuration, metrics, or an example configuration",
     "Topics: configuration and metrics (Markdown), example (a configuration file with every key and its "
     "default).\n"},
};
#define COMMAND_COUNT (sizeof commands / sizeof commands[0])

static const char options_text[] =
    "Which gateway:\n"
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

/* Reads the options before the command; *at is then the command's place. CTL_OK to go on, with *out_done to stop. */
static int take_options(struct ctl *ctl, int argc, char **argv, int *at, bool *out_done)
{
    for (; *at < argc && argv[*at][0] == '-'; (*at)++) {
        const char *name = argv[*at];
        int rc = CTL_OK;
        if (strcmp(name, "--json") == 0) {
            ctl->json = true;
        } else if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
            *out_done = true;
            return print_help(NULL);
        } else if (strcmp(name, "--version") == 0) {
            *out_done = true;
            puts("tributaryctl " TRIBUTARY_VERSION);
            return CTL_OK;
        } else if (strcmp(name, "--config") == 0 || strcmp(name, "--data") == 0 ||
                   strcmp(name, "--socket") == 0) {
            rc = take_option(ctl, name, argv[++*at]);
        } else {
            rc = ctl_fail(CTL_USAGE, "unknown option %s; tributaryctl --help lists them", name);
        }
        if (rc != CTL_OK)
            return rc;
    }
    return CTL_OK;
}

static int run(struct ctl *ctl, int argc, char **argv)
{
    int at = 1;
    bool done = false;
    int rc = take_options(ctl, argc, argv, &at, &done);
    if (rc != CTL_OK || done)
        return rc;
    if (at == argc) {
        (void)print_help(NULL);
        return CTL_USAGE;
    }
    const char *environment = getenv("TRIBUTARY_DATA");
    if (!ctl->data && !ctl->socket && environment && *environment)
        ctl->data = copied(environment);
    if (!ctl->socket && ctl->data)
        ctl->socket = joined(ctl->data, "run/admin.sock");
    const char *name = argv[at];
    if (strcmp(name, "help") == 0)
        return print_help(at + 1 < argc ? argv[at + 1] : NULL);
    ctl->argument_count = argc - at - 1;
    ctl->arguments = argv + at + 1;
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (strcmp(commands[i].name, name) != 0)
            continue;
        if (ctl->argument_count &&
            (strcmp(ctl->arguments[0], "--help") == 0 || strcmp(ctl->arguments[0], "-h") == 0))
            return print_help(name);
        return commands[i].run(ctl);
    }
    return ctl_fail(CTL_USAGE, "there is no command `%s`; tributaryctl help lists them", name);
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
