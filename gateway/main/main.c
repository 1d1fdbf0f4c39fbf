/* tributaryd: command line, signals, exit codes. What it runs is in gateway.c. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>

#include "main/gateway.h"
#include "main/options.h"
#include "main/reload.h"
#include "observe/log.h"

enum exit_code { EXIT_STOPPED = 0, EXIT_FAILED = 1, EXIT_CONFIG = 2 };

/* Memory holds personal data in the clear: it must not reach a core file, nor another process of this user. */
static void forbid_core_files(void)
{
    struct rlimit none = {0, 0};
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    setrlimit(RLIMIT_CORE, &none);
}

/*
 * libwebsockets looks at certificates in local time, in each ingest thread. Without TZ glibc reads and notes the zone
 * anew at each such call; named here, and read once, it is left alone by threads.
 */
static void settle_time_zone(void)
{
    setenv("TZ", ":/etc/localtime", 0);
    tzset();
}

static int complain(const struct gw_error *error, enum exit_code code)
{
    fprintf(stderr, "tributaryd: %s\n", error->text);
    return code;
}

/* Blocked before any thread starts, so that all inherit it and only this one takes them. */
static void block_signals(sigset_t *out)
{
    sigemptyset(out);
    sigaddset(out, SIGTERM);
    sigaddset(out, SIGINT);
    sigaddset(out, SIGHUP);
    pthread_sigmask(SIG_BLOCK, out, NULL);
    signal(SIGPIPE, SIG_IGN);
}

static void wait_for_stop(struct gw_gateway *gateway, const sigset_t *signals)
{
    for (;;) {
        int number = sigwaitinfo(signals, NULL);
        struct gw_error error = {0};
        if (number == SIGHUP) {
            (void)(gw_gateway_reload(gateway, &error) == GW_OK); /* the log has it */
        } else if (number > 0) {
            gw_log(GW_LOG_INFO, "main.stopping", "devices are sent away; what they sent is stored and acked",
                   GW_INT("signal", number));
            return;
        }
    }
}

static int run(const struct gw_config *config, const char *path)
{
    static struct gw_gateway gateway;
    sigset_t signals;
    struct gw_error error = {0};
    block_signals(&signals);
    if (gw_gateway_start(&gateway, config, path, &error) != GW_OK)
        return complain(&error, EXIT_FAILED);
    wait_for_stop(&gateway, &signals);
    gw_gateway_stop(&gateway);
    gw_log(GW_LOG_INFO, "main.stopped", "the gateway is down");
    return EXIT_STOPPED;
}

static int check_config(const char *path)
{
    static struct gw_config_report report;
    struct gw_config config;
    if (gw_config_load_report(path, &config, &report) != GW_OK) {
        for (size_t i = 0; i < report.count; i++)
            fprintf(stderr, "tributaryd: %s\n", report.errors[i].text);
        if (report.more > 0)
            fprintf(stderr, "tributaryd: and %zu more\n", report.more);
        return EXIT_CONFIG;
    }
    gw_config_check_print(&config, stdout);
    gw_config_free(&config);
    return EXIT_STOPPED;
}

static int load_and_run(const char *path)
{
    struct gw_config config;
    struct gw_error error = {0};
    if (gw_config_load(path, &config, &error) != GW_OK)
        return complain(&error, EXIT_CONFIG);
    enum gw_log_level level;
    if (gw_log_level_from_name(config.observe.log_level, &level) == GW_OK)
        gw_log_set_level(level);
    int code = run(&config, path);
    gw_config_free(&config);
    return code;
}

int main(int argc, char **argv)
{
    struct gw_options options;
    struct gw_error error = {0};
    forbid_core_files();
    settle_time_zone();
    if (gw_options_parse(argc, argv, &options, &error) != GW_OK)
        return complain(&error, EXIT_CONFIG);
    switch (options.action) {
    case GW_ACTION_HELP:
        gw_options_help(stdout);
        return EXIT_STOPPED;
    case GW_ACTION_VERSION:
        puts("tributaryd " TRIBUTARY_VERSION);
        return EXIT_STOPPED;
    case GW_ACTION_CHECK_CONFIG:
        return check_config(options.config);
    case GW_ACTION_RUN:
        break;
    }
    return load_and_run(options.config);
}
