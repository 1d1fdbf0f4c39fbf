/* The admin server on loopback and on a Unix socket, with a journal of fixed answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cjson/cJSON.h>
#include <cmocka.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "admin/admin.h"
#include "admin/socket.h"
#include "journal/maintain.h"
#include "observe/health.h"
#include "observe/metrics.h"

/* --- a journal that says what it is told --- */

uint64_t gw_journal_epoch(const struct gw_journal *journal)
{
    (void)journal;
    return 0xfeedfacecafebeef;
}

const char *gw_journal_gateway_id(const struct gw_journal *journal)
{
    (void)journal;
    return "0123456789abcdef";
}

uint64_t gw_journal_begin(const struct gw_journal *journal)
{
    (void)journal;
    return 7;
}

uint64_t gw_journal_end(const struct gw_journal *journal)
{
    (void)journal;
    return 9007199254740993; /* 2^53 + 1: not a double */
}

int gw_journal_cursor_get(struct gw_journal *journal, const char *sink, uint64_t *out_offset)
{
    (void)journal;
    if (strcmp(sink, "stream") != 0)
        return GW_ENOTFOUND;
    *out_offset = 9007199254740990;
    return GW_OK;
}

void gw_journal_get_stats(struct gw_journal *journal, struct gw_journal_stats *out)
{
    (void)journal;
    *out = (struct gw_journal_stats){.disk_bytes = 4096, .segments = 2, .quarantine_entries = 3};
}

static struct gw_journal_backup backup; /* what the journal says of one */

int gw_journal_backup_ask(struct gw_journal *journal, uint64_t *out_number, struct gw_error *error)
{
    (void)journal;
    if (backup.state == GW_BACKUP_WAITING)
        return gw_error_set(error, GW_EBUSY, 0, "another backup is under way");
    backup = (struct gw_journal_backup){.state = GW_BACKUP_WAITING, .number = backup.number + 1};
    *out_number = backup.number;
    return GW_OK;
}

void gw_journal_backup_look(struct gw_journal *journal, struct gw_journal_backup *out)
{
    (void)journal;
    *out = backup;
}

int gw_journal_backup_withdraw(struct gw_journal *journal, uint64_t number)
{
    (void)journal;
    if (backup.state != GW_BACKUP_WAITING || backup.number != number)
        return GW_ENOTFOUND;
    backup.state = GW_BACKUP_NONE;
    return GW_OK;
}

bool gw_journal_is_detached(struct gw_journal *journal, const char *sink)
{
    (void)journal;
    return strcmp(sink, "lake") == 0;
}

int gw_journal_each_lost(struct gw_journal *journal, gw_journal_lost_fn fn, void *context)
{
    (void)journal;
    const struct gw_journal_lost lost = {
        .sink = "lake", .epoch = 0xabc, .from = 7, .to = 9, .entries = 2, .first_ms = 5, .last_ms = 6};
    fn(context, &lost);
    return GW_OK;
}

int gw_journal_each_rejected(struct gw_journal *journal, gw_journal_rejected_fn fn, void *context)
{
    (void)journal;
    struct gw_journal_rejected rejected = {.device = "tv-1",
                                           .device_len = 4,
                                           .stream = 0xab,
                                           .received_ms = 1700000000000,
                                           .code = 3,
                                           .sealed_len = 99};
    for (rejected.seq = 1; rejected.seq <= 3; rejected.seq++)
        if (fn(context, &rejected) != 0)
            return GW_EIO;
    return GW_OK;
}

int gw_journal_walk_rejected(struct gw_journal *journal, struct gw_journal_rejected_walk *walk,
                             gw_journal_rejected_fn fn, void *context)
{
    walk->ended = true;
    return gw_journal_each_rejected(journal, fn, context);
}

/* --- a server in a folder of its own --- */

static char folder[256], run[400], socket_path[500];
static struct gw_admin *admin;
static const char *const sinks[] = {"stream", "lake"};

static struct gw_admin_config config(void)
{
    return (struct gw_admin_config){
        .http_address = "127.0.0.1", .run_folder = run, .sinks = sinks, .sink_count = 2};
}

static int start(void **state)
{
    (void)state;
    struct gw_error error;
    struct gw_admin_config c = config();
    if (gw_admin_start(&c, &admin, &error) != GW_OK) {
        print_error("%s\n", error.text);
        return -1;
    }
    return 0;
}

static int stop(void **state)
{
    (void)state;
    gw_admin_stop(admin);
    return 0;
}

static int make_folder(void **state)
{
    (void)state;
    const char *base = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/tributary-admin-XXXXXX", base ? base : "/tmp");
    if (!mkdtemp(folder))
        return -1;
    /* Longer than a sun_path, as data folders may be. */
    snprintf(run, sizeof run,
             "%s/a-folder-with-a-name-that-is-by-far-longer-than-what-the-address-of-a-unix-socket-holds",
             folder);
    snprintf(socket_path, sizeof socket_path, "%s/admin.sock", run);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    char path[600];
    snprintf(path, sizeof path, "%s.lock", socket_path);
    (void)unlink(path);
    (void)unlink(socket_path);
    (void)rmdir(run);
    return rmdir(folder);
}

static int connect_http(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(gw_admin_http_port(admin)),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(s, (struct sockaddr *)&address, sizeof address), 0);
    struct timeval limit = {.tv_sec = 20};
    setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    return s;
}

static int connect_local(void)
{
    int s = -1;
    struct gw_error error;
    assert_int_equal(gw_admin_socket_connect(socket_path, &s, &error), GW_OK);
    return s;
}

static char answer[65536];

/* Until the peer closes. */
static const char *read_all(int s)
{
    size_t len = 0;
    for (;;) {
        ssize_t n = read(s, answer + len, sizeof answer - 1 - len);
        assert_true(n >= 0);
        if (n == 0)
            break;
        len += (size_t)n;
    }
    answer[len] = 0;
    close(s);
    return answer;
}

static const char *tell(int s, const char *method, const char *path)
{
    char request[256];
    int n = snprintf(request, sizeof request, "%s %s HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
                     method, path);
    assert_int_equal(write(s, request, (size_t)n), n);
    return read_all(s);
}

static const char *ask(int s, const char *path)
{
    return tell(s, "GET", path);
}

static bool is_status(const char *text, int status)
{
    char start_line[32];
    snprintf(start_line, sizeof start_line, "HTTP/1.1 %d ", status);
    return strncmp(text, start_line, strlen(start_line)) == 0;
}

static cJSON *body_of(const char *text)
{
    cJSON *tree = cJSON_Parse(strstr(text, "\r\n\r\n") + 4);
    assert_non_null(tree);
    return tree;
}

static void test_ready_says_why_not(void **state)
{
    (void)state;
    assert_true(is_status(ask(connect_http(), "/readyz"), 503));
    assert_non_null(strstr(answer, "\"reason\":\"starting\""));
    gw_health_set(GW_CONDITION_STARTING, false);
    assert_true(is_status(ask(connect_http(), "/readyz"), 200));
    gw_health_set(GW_CONDITION_FULL, true);
    gw_health_set(GW_CONDITION_DRAINING, true);
    assert_true(is_status(ask(connect_http(), "/readyz"), 503));
    cJSON *tree = body_of(answer);
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(tree, "conditions")), 2);
    cJSON_Delete(tree);
    assert_true(is_status(ask(connect_http(), "/healthz"), 200)); /* alive all the same */
    gw_health_set(GW_CONDITION_FULL, false);
    gw_health_set(GW_CONDITION_DRAINING, false);
    assert_true(is_status(ask(connect_local(), "/readyz"), 200));
}

static void test_the_admin_api_is_on_the_unix_socket_only(void **state)
{
    (void)state;
    assert_true(is_status(ask(connect_http(), "/v1/status"), 404));
    assert_true(is_status(ask(connect_local(), "/v1/status"), 200));
    assert_true(is_status(ask(connect_local(), "/v1/other"), 404));
}

static void test_status_tells_numbers_exactly(void **state)
{
    (void)state;
    static char dummy;
    assert_null(strstr(ask(connect_local(), "/v1/status"), "\"journal\""));
    gw_admin_set_journal(admin, (struct gw_journal *)(void *)&dummy);
    assert_true(is_status(ask(connect_local(), "/v1/status"), 200));
    assert_non_null(strstr(answer, "\"epoch\":\"feedfacecafebeef\",\"begin\":7,\"end\":9007199254740993,"));
    assert_non_null(strstr(answer, "{\"name\":\"stream\",\"cursor\":9007199254740990,\"behind\":3},{\"name\":"
                                   "\"lake\",\"detached\":true}"));
    assert_non_null(strstr(answer,
                           "\"lost\":[{\"sink\":\"lake\",\"epoch\":\"0000000000000abc\",\"from\":7,\"to\":9,"
                           "\"entries\":2,\"first_ms\":5,\"last_ms\":6}]"));
    cJSON_Delete(body_of(answer));
    assert_non_null(
        strstr(ask(connect_http(), "/metrics"), "\ntributary_journal_end_offset 9007199254740993\n"));
    gw_admin_set_journal(admin, NULL);
}

static void test_quarantine_is_listed_without_what_is_sealed(void **state)
{
    (void)state;
    static char dummy;
    assert_true(is_status(ask(connect_local(), "/v1/quarantine"), 503));
    gw_admin_set_journal(admin, (struct gw_journal *)(void *)&dummy);
    assert_true(is_status(ask(connect_http(), "/v1/quarantine"), 404));
    assert_true(is_status(ask(connect_local(), "/v1/quarantine?limit=x"), 400));
    assert_true(is_status(ask(connect_local(), "/v1/quarantine?limit=16385"), 400));
    assert_true(is_status(ask(connect_local(), "/v1/quarantine?limit=1"), 200));
    assert_non_null(strstr(answer,
                           "{\"quarantine\":[{\"device\":\"tv-1\",\"stream\":\"00000000000000ab\",\"seq\":1,"
                           "\"received_ms\":1700000000000,\"code\":3,\"reason\":\"missing field\","
                           "\"sealed_bytes\":99}],\"total\":3}\n"));
    gw_admin_set_journal(admin, NULL);
}

static void test_a_backup_is_asked_for_and_nobody_waits(void **state)
{
    (void)state;
    static char dummy;
    const struct gw_admin_writer writer = {.write = NULL};
    const char *const path = "/v1/backup";
    assert_true(is_status(tell(connect_local(), "POST", path), 503)); /* no journal yet */
    gw_admin_set_journal(admin, (struct gw_journal *)(void *)&dummy);
    assert_true(is_status(tell(connect_local(), "POST", path), 503)); /* nobody would make it */
    assert_non_null(strstr(ask(connect_local(), path), "{\"state\":\"none\",\"number\":0}\n"));
    gw_admin_set_writer(admin, &writer);
    assert_true(is_status(tell(connect_http(), "POST", path), 404));
    assert_true(is_status(tell(connect_local(), "POST", path), 202));
    assert_non_null(strstr(answer, "{\"state\":\"waiting\",\"number\":1}\n"));
    assert_true(is_status(tell(connect_local(), "POST", path), 409));
    assert_non_null(strstr(answer, "another backup is under way"));
    assert_true(is_status(tell(connect_local(), "DELETE", "/v1/backup"), 400));
    assert_true(is_status(tell(connect_local(), "DELETE", "/v1/backup?number=2"), 404));
    assert_true(is_status(tell(connect_local(), "DELETE", "/v1/backup?number=1"), 200));
    assert_true(is_status(tell(connect_local(), "POST", path), 202));
    backup.state = GW_BACKUP_READY;
    backup.summary = (struct gw_journal_summary){
        .epoch = 0xabc, .begin = 7, .end = 9007199254740993, .segments = 2, .schemas = 5};
    assert_true(is_status(ask(connect_local(), path), 200));
    assert_non_null(strstr(answer, "{\"state\":\"ready\",\"number\":2,\"folder\":\"backup.ready\",\"epoch\":"
                                   "\"0000000000000abc\",\"begin\":7,\"end\":9007199254740993,\"segments\":2,"
                                   "\"entries\":0,\"bytes\":0,\"bad\":0,\"lost\":0,\"schemas\":5}\n"));
    backup.state = GW_BACKUP_FAILED;
    gw_error_fill(&backup.error, GW_EFULL, 0, "free space");
    assert_non_null(
        strstr(ask(connect_local(), path), "\"state\":\"failed\",\"number\":2,\"error\":\"free space\"}"));
    assert_true(is_status(tell(connect_local(), "PUT", path), 405));
    gw_admin_set_writer(admin, NULL);
    gw_admin_set_journal(admin, NULL);
}

static void test_metrics_are_served_on_one_kept_connection(void **state)
{
    (void)state;
    gw_metric_set(GW_METRIC_CONNECTIONS, 12);
    int s = connect_http();
    for (int i = 0; i < 3; i++) {
        const char *request = "GET /metrics HTTP/1.1\r\nHost: h\r\n\r\n";
        assert_int_equal(write(s, request, strlen(request)), (ssize_t)strlen(request));
        size_t len = 0, expected = SIZE_MAX;
        while (len < expected) {
            ssize_t n = read(s, answer + len, sizeof answer - 1 - len);
            assert_true(n > 0);
            len += (size_t)n;
            answer[len] = 0;
            const char *end = strstr(answer, "\r\n\r\n"), *length = strstr(answer, "Content-Length: ");
            if (end && length)
                expected = (size_t)(end - answer) + 4 + strtoul(length + 16, NULL, 10);
        }
        assert_int_equal(len, expected);
        assert_non_null(strstr(answer, "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
        assert_non_null(strstr(answer, "\ntributary_connections 12\n"));
        assert_non_null(strstr(answer, "\nprocess_resident_memory_bytes "));
        assert_non_null(strstr(answer, "\ntributary_build_info{version=\"" TRIBUTARY_VERSION "\"} 1\n"));
    }
    close(s);
}

static void test_pipelined_requests_are_answered_in_order(void **state)
{
    (void)state;
    int s = connect_http();
    const char *request = "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\nHEAD /readyz HTTP/1.1\r\nHost: h\r\n\r\n"
                          "GET /none HTTP/1.0\r\n\r\n";
    assert_int_equal(write(s, request, strlen(request)), (ssize_t)strlen(request));
    read_all(s);
    const char *first = strstr(answer, "alive"),
               *second = strstr(answer, "\r\nConnection: keep-alive\r\n\r\nHTTP/1.1 404");
    assert_non_null(first);
    assert_non_null(second); /* HEAD had no body */
    assert_true(first < second);
}

static void test_a_refusal_is_read_even_when_more_was_sent(void **state)
{
    (void)state;
    int s = connect_http();
    char *flood = malloc(20000);
    memset(flood, 'x', 20000);
    (void)!write(s, flood, 20000);
    free(flood);
    assert_true(is_status(read_all(s), 431));
    s = connect_http();
    assert_int_equal(write(s, "BREW / HTTP/1.1\r\n\r\n", 19), 19);
    assert_true(is_status(read_all(s), 405));
}

static void test_silent_clients_do_not_keep_others_out(void **state)
{
    (void)state;
    int silent[200];
    for (int i = 0; i < 200; i++) {
        silent[i] = connect_http();
        assert_int_equal(write(silent[i], "GET", 3), 3);
    }
    assert_true(is_status(ask(connect_http(), "/healthz"), 200));
    assert_true(is_status(ask(connect_local(), "/healthz"), 200));
    for (int i = 0; i < 200; i++)
        close(silent[i]);
}

static void test_the_port_file_and_the_socket_are_the_owners_alone(void **state)
{
    (void)state;
    char path[600], text[16] = "";
    snprintf(path, sizeof path, "%s/http_port", run);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    assert_non_null(fgets(text, sizeof text, file));
    fclose(file);
    assert_int_equal(strtoul(text, NULL, 10), gw_admin_http_port(admin));
    struct stat status;
    assert_int_equal(stat(socket_path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
}

static void test_a_second_gateway_is_told_and_harms_nothing(void **state)
{
    (void)state;
    struct gw_admin_config c = config();
    struct gw_admin *second = NULL;
    struct gw_error error;
    assert_int_equal(gw_admin_start(&c, &second, &error), GW_EBUSY);
    assert_non_null(strstr(error.text, "another gateway listens at "));
    assert_true(is_status(ask(connect_local(), "/healthz"), 200));
    char other[400];
    snprintf(other, sizeof other, "%s/other.sock", folder);
    c.socket = other;
    c.http_port = gw_admin_http_port(admin);
    assert_int_equal(gw_admin_start(&c, &second, &error), GW_EBUSY);
    assert_non_null(strstr(error.text, "is in use: stop what uses it, or give another port"));
    assert_int_equal(access(other, F_OK), -1); /* the socket it had made is gone again */
    assert_true(is_status(ask(connect_http(), "/healthz"), 200));
    test_the_port_file_and_the_socket_are_the_owners_alone(state);
    strcat(other, ".lock");
    assert_int_equal(unlink(other), 0);
}

static void test_a_socket_left_by_a_killed_gateway_is_replaced(void **state)
{
    assert_int_equal(mkdir(run, 0700) == 0 || access(run, F_OK) == 0, 1);
    struct gw_admin_socket left;
    struct gw_error error;
    assert_int_equal(gw_admin_socket_listen(socket_path, &left, &error), GW_OK);
    close(left.listener); /* as the kernel does for the killed */
    close(left.lock);
    free(left.path);
    int s;
    assert_int_equal(gw_admin_socket_connect(socket_path, &s, &error), GW_ENOTFOUND);
    assert_int_equal(start(state), 0);
    assert_true(is_status(ask(connect_local(), "/healthz"), 200));
    stop(state);
    assert_int_equal(access(socket_path, F_OK), -1);
    close(open(socket_path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    assert_int_equal(gw_admin_socket_listen(socket_path, &left, &error), GW_EINVALID);
    assert_int_equal(access(socket_path, F_OK), 0); /* not ours: left alone */
    unlink(socket_path);
}

static void test_a_wrong_address_is_named(void **state)
{
    (void)state;
    struct gw_admin_config c = config();
    struct gw_admin *none = NULL;
    struct gw_error error;
    c.http_address = "not an address";
    assert_int_equal(gw_admin_start(&c, &none, &error), GW_EINVALID);
    assert_non_null(strstr(error.text, "observe.http_address: `not an address` is no address here"));
}

int main(void)
{
#define WITH_SERVER(test) cmocka_unit_test_setup_teardown(test, start, stop)
    const struct CMUnitTest tests[] = {
        WITH_SERVER(test_ready_says_why_not),
        WITH_SERVER(test_the_admin_api_is_on_the_unix_socket_only),
        WITH_SERVER(test_status_tells_numbers_exactly),
        WITH_SERVER(test_quarantine_is_listed_without_what_is_sealed),
        WITH_SERVER(test_a_backup_is_asked_for_and_nobody_waits),
        WITH_SERVER(test_metrics_are_served_on_one_kept_connection),
        WITH_SERVER(test_pipelined_requests_are_answered_in_order),
        WITH_SERVER(test_a_refusal_is_read_even_when_more_was_sent),
        WITH_SERVER(test_silent_clients_do_not_keep_others_out),
        WITH_SERVER(test_the_port_file_and_the_socket_are_the_owners_alone),
        WITH_SERVER(test_a_second_gateway_is_told_and_harms_nothing),
        cmocka_unit_test(test_a_socket_left_by_a_killed_gateway_is_replaced),
        cmocka_unit_test(test_a_wrong_address_is_named),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
