/* The admin socket, seen from a client: one GET, one JSON answer. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "admin/socket.h"
#include "ctl.h"

#define ANSWER_MAX (16 * 1024 * 1024)
#define TIMEOUT_S 30

static char *read_all(int descriptor)
{
    size_t len = 0, capacity = 65536;
    char *text = malloc(capacity);
    while (text) {
        ssize_t n = read(descriptor, text + len, capacity - 1 - len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            break;
        len += (size_t)n;
        text[len] = 0;
        if (n == 0)
            return text;
        if (len < capacity - 1)
            continue;
        char *larger = capacity < ANSWER_MAX ? realloc(text, capacity *= 2) : NULL;
        if (!larger)
            break;
        text = larger;
    }
    free(text);
    return NULL;
}

static bool send_all(int descriptor, const char *text, size_t len)
{
    while (len > 0) {
        ssize_t n = send(descriptor, text, len, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        text += n;
        len -= (size_t)n;
    }
    return true;
}

/* body: JSON text, or NULL. */
static int exchange(int descriptor, const char *method, const char *path, const char *body, char **out_text)
{
    struct timeval limit = {.tv_sec = TIMEOUT_S};
    (void)setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    (void)setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    char request[1200], length[80] = "";
    if (body)
        snprintf(length, sizeof length, "Content-Type: application/json\r\nContent-Length: %zu\r\n",
                 strlen(body));
    int len =
        snprintf(request, sizeof request, "%s %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n%s\r\n",
                 method, path, length);
    if (len < 0 || (size_t)len >= sizeof request || !send_all(descriptor, request, (size_t)len) ||
        (body && !send_all(descriptor, body, strlen(body))))
        return -1;
    *out_text = read_all(descriptor);
    return *out_text ? 0 : -1;
}

bool ctl_answers(const struct ctl *ctl)
{
    int descriptor;
    if (!ctl->socket || gw_admin_socket_connect(ctl->socket, &descriptor, NULL) != GW_OK)
        return false;
    close(descriptor);
    return true;
}

static int ask(const struct ctl *ctl, const char *method, const char *path, const char *question,
               cJSON **out_tree)
{
    if (!ctl->socket)
        return ctl_fail(CTL_USAGE,
                        "which gateway? Give --config FILE (its configuration), --data DIR (its data folder) "
                        "or --socket PATH");
    int descriptor;
    struct gw_error error;
    if (gw_admin_socket_connect(ctl->socket, &descriptor, &error) != GW_OK)
        return ctl_fail(CTL_UNREACHABLE, "%s: is it running? Is this its folder? Its log says why it stopped",
                        error.text);
    char *text = NULL;
    int rc = exchange(descriptor, method, path, question, &text);
    close(descriptor);
    if (rc != 0)
        return ctl_fail(CTL_UNREACHABLE, "the gateway at %s does not answer", ctl->socket);
    const char *body = strstr(text, "\r\n\r\n");
    unsigned long status = strlen(text) > 9 ? strtoul(text + 9, NULL, 10) : 0;
    cJSON *tree = body ? cJSON_Parse(body + 4) : NULL;
    free(text);
    if (!tree)
        return ctl_fail(CTL_UNREACHABLE, "what answers at %s is no gateway, or of another version",
                        ctl->socket);
    if (status / 100 != 2) {
        const char *why = *ctl_text(tree, "error") ? ctl_text(tree, "error") : ctl_text(tree, "message");
        rc = ctl_fail(question && status < 500 ? CTL_BAD : CTL_FAILED, "the gateway refuses %s: %s", path,
                      why);
        cJSON_Delete(tree);
        return rc;
    }
    *out_tree = tree;
    return CTL_OK;
}

int ctl_ask(const struct ctl *ctl, const char *method, const char *path, cJSON **out_tree)
{
    return ask(ctl, method, path, NULL, out_tree);
}

int ctl_post(const struct ctl *ctl, const char *path, const cJSON *body, cJSON **out_tree)
{
    char *text = cJSON_PrintUnformatted(body);
    if (!text)
        return ctl_fail(CTL_FAILED, "out of memory");
    int rc = ask(ctl, "POST", path, text, out_tree);
    cJSON_free(text);
    return rc;
}

int ctl_get(const struct ctl *ctl, const char *path, cJSON **out_tree)
{
    return ctl_ask(ctl, "GET", path, out_tree);
}

void ctl_add_number(cJSON *object, const char *name, uint64_t value)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRIu64, value);
    (void)cJSON_AddRawToObject(object, name, text);
}

uint64_t ctl_number(const cJSON *object, const char *name)
{
    /* cJSON reads numbers as doubles: exact up to 2^53, which offsets and counts of a lifetime stay below. */
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    return cJSON_IsNumber(item) && item->valuedouble >= 0 ? (uint64_t)item->valuedouble : 0;
}

const char *ctl_text(const cJSON *object, const char *name)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
    return text ? text : "";
}
