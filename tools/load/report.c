#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "run.h"

#define TOLD_MAX 10 /* violations that are described */

static const char *const violation_names[LOAD_VIOLATIONS] = {
    [LOAD_LOST_ACK] = "lost_acks",  [LOAD_WRONG_CRC] = "wrong_crcs",   [LOAD_AHEAD] = "acks_ahead",
    [LOAD_BACKWARDS] = "went_back", [LOAD_WRONG_NACK] = "wrong_nacks", [LOAD_BAD_MESSAGE] = "bad_messages",
    [LOAD_BAD_BYE] = "bad_byes",
};

static const char *const bye_names[16] = {"other",       "draining",  "replaced", "credit",
                                          "protocol",    "too_large", "version",  "blocked",
                                          "unavailable", "timeout",   "auth",     "erased"};

const char *load_violation_name(enum load_violation kind)
{
    return violation_names[kind];
}

void load_violation(struct load_run *run, enum load_violation kind, const char *device, const char *format,
                    ...)
{
    va_list args;

    if (run->violations[kind]++ >= TOLD_MAX)
        return;
    fprintf(stderr, "tributary-load: %s: %s: ", violation_names[kind], device);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
}

static double seconds(const struct load_run *run)
{
    return run->last_ack_us > run->first_send_us ? (double)(run->last_ack_us - run->first_send_us) / 1e6 : 0;
}

static double per(double a, double b)
{
    return b > 0 ? a / b : 0;
}

static double ms(const struct load_run *run, double part)
{
    return (double)load_histogram_at(&run->latency, part) / 1000;
}

static void report_json(const struct load_run *run, uint64_t online, bool acked_all)
{
    double took = seconds(run);
    const char *separator = "";

    printf("{\"devices\":%" PRIu64 ",\"online\":%" PRIu64 ",\"complete\":%s,\"seed\":%" PRIu64
           ",\"events_acked\":%" PRIu64 ",\"events_sent\":%" PRIu64 ",\"events_before\":%" PRIu64
           ",\"batches\":%" PRIu64 ",\"seconds\":%.3f,\"events_per_second\":%.0f",
           run->options->devices, online, acked_all ? "true" : "false", run->options->seed, run->events_acked,
           run->events_sent, run->events_before, run->batches_sent, took,
           per((double)run->events_acked, took));
    printf(",\"bytes_per_event\":%.2f,\"socket_bytes_per_event\":%.2f,\"message_bytes\":%" PRIu64
           ",\"socket_bytes\":%" PRIu64,
           per((double)run->message_bytes, (double)run->events_sent),
           per((double)run->socket_bytes, (double)run->events_sent), run->message_bytes, run->socket_bytes);
    printf(",\"ack_latency_ms\":{\"p50\":%.3f,\"p90\":%.3f,\"p99\":%.3f,\"p99.9\":%.3f,\"max\":%.3f}",
           ms(run, 0.5), ms(run, 0.9), ms(run, 0.99), ms(run, 0.999), (double)run->latency.max_us / 1000);
    printf(",\"connections_lost\":%" PRIu64 ",\"reconnects\":%" PRIu64 ",\"nacks\":%" PRIu64
           ",\"expected_nacks\":%" PRIu64 ",\"rejected\":%" PRIu64 ",\"duplicates_sent\":%" PRIu64
           ",\"refused_devices\":%" PRIu64 ",\"byes\":{",
           run->connections_lost, run->reconnects, run->nacks, run->expected_nacks, run->rejected,
           run->duplicates_sent, run->refused);
    for (int i = 0; i < 16; i++) {
        if (!run->byes[i])
            continue;
        printf("%s\"%s\":%" PRIu64, separator, bye_names[i] ? bye_names[i] : "other", run->byes[i]);
        separator = ",";
    }
    printf("},\"violations\":{");
    separator = "";
    for (int i = 0; i < LOAD_VIOLATIONS; i++) {
        printf("%s\"%s\":%" PRIu64, separator, violation_names[i], run->violations[i]);
        separator = ",";
    }
    printf("}}\n");
}

static void report_text(const struct load_run *run, bool acked_all)
{
    double took = seconds(run);
    uint64_t broken = 0;

    printf("%s\n\n", acked_all ? "All events were acked." : "Not all events were acked.");
    printf("  devices         %12" PRIu64 "\n", run->options->devices);
    printf("  events acked    %12" PRIu64 "   in %.2f s\n", run->events_acked, took);
    if (run->events_before > 0)
        printf("  acked before    %12" PRIu64 "   by an earlier run with this seed\n", run->events_before);
    printf("  rate            %12.0f   events/s\n", per((double)run->events_acked, took));
    printf("  size            %12.1f   bytes/event in messages, %.1f on the wire with TLS\n",
           per((double)run->message_bytes, (double)run->events_sent),
           per((double)run->socket_bytes, (double)run->events_sent));
    printf("  ack latency     %12.2f   ms p50, %.2f p99, %.2f p99.9, %.2f max\n", ms(run, 0.5), ms(run, 0.99),
           ms(run, 0.999), (double)run->latency.max_us / 1000);
    printf("  connections lost%12" PRIu64 "\n", run->connections_lost);
    printf("  nacks           %12" PRIu64 "   %" PRIu64 " of them provoked\n", run->nacks,
           run->expected_nacks);
    printf("  rejected        %12" PRIu64 "\n", run->rejected);
    if (run->duplicates_sent > 0)
        printf("  sent twice      %12" PRIu64 "   on purpose\n", run->duplicates_sent);
    for (int i = 0; i < 16; i++)
        if (run->byes[i])
            printf("  bye %-12s%12" PRIu64 "\n", bye_names[i] ? bye_names[i] : "other", run->byes[i]);
    for (int i = 0; i < LOAD_VIOLATIONS; i++)
        broken += run->violations[i];
    if (broken > 0)
        printf("\nThe gateway broke its promises:\n");
    for (int i = 0; i < LOAD_VIOLATIONS; i++)
        if (run->violations[i])
            printf("  %-16s%12" PRIu64 "\n", violation_names[i], run->violations[i]);
    printf("\nseed %" PRIu64 "\n", run->options->seed);
}

void load_report(const struct load_run *run, uint64_t online, bool acked_all)
{
    if (run->options->format == LOAD_JSON)
        report_json(run, online, acked_all);
    else
        report_text(run, acked_all);
    fflush(stdout);
}

void load_progress(const struct load_run *run, uint64_t online, uint64_t done)
{
    fprintf(stderr,
            "\r%6.1f s  %" PRIu64 " of %" PRIu64 " devices online, %" PRIu64 " done  %" PRIu64
            " events acked%s%s\033[K",
            (double)(run->now_us - run->start_us) / 1e6, online, run->options->devices, done,
            run->events_acked, run->trouble && online == 0 ? "  " : "",
            run->trouble && online == 0 ? run->trouble : "");
}
