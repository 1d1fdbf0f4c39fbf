#include "options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "usage: settop --script FILE --device ID --ring-folder FOLDER --ca FILE (--cert FILE --key FILE | "
    "--token JWT) --port N\n"
    "\n"
    "Plays media files as a script of user actions says and reports to a Tributary gateway what the player "
    "did.\n"
    "\n"
    "  --script FILE       user actions, one a line (see script.h)\n"
    "  --side-file FILE    append each SDK call and each libmpv report to FILE as JSON lines\n"
    "  --device ID         device id, the one in the credentials\n"
    "  --ring-folder DIR   where the ring files lie that hold events until they are acked; made if missing\n"
    "  --host NAME         gateway (127.0.0.1)\n"
    "  --port N            its port\n"
    "  --server-name NAME  name in its certificate (localhost)\n"
    "  --ca FILE           PEM file of the CA that signed it\n"
    "  --cert FILE, --key FILE   the device's certificate and key (PEM), or\n"
    "  --token JWT         a bearer token; @FILE reads it from a file\n"
    "  --proxy HOST:PORT   go through this HTTP proxy\n"
    "  --proxy-login USER:PASSWORD   what it asks for; @FILE reads it from a file\n"
    "  --linger-ms N       how long routine events may wait for company before they are sent\n"
    "  --backoff-max-ms N  longest wait between two attempts to connect (60000)\n"
    "  --stay SECONDS      after the script go on until all is acked or the time is over\n"
    "  --shutdown-ms N     how long the last flush may take (2000)\n"
    "  --drain-only        play nothing: connect and upload what waits in the ring (with --stay, else 10 s)\n"
    "\n"
    "Exit: 0 all is acked, 3 some events wait in the ring for the next run, 1 an error, 2 wrong usage.\n";

enum {
    OPTION_SCRIPT = 256,
    OPTION_SIDE_FILE,
    OPTION_DEVICE,
    OPTION_RING,
    OPTION_HOST,
    OPTION_PORT,
    OPTION_SERVER_NAME,
    OPTION_CA,
    OPTION_CERT,
    OPTION_KEY,
    OPTION_TOKEN,
    OPTION_PROXY,
    OPTION_PROXY_LOGIN,
    OPTION_LINGER,
    OPTION_BACKOFF,
    OPTION_STAY,
    OPTION_SHUTDOWN,
    OPTION_DRAIN,
    OPTION_HELP,
};

static const struct option known[] = {
    {"script", required_argument, NULL, OPTION_SCRIPT},
    {"side-file", required_argument, NULL, OPTION_SIDE_FILE},
    {"device", required_argument, NULL, OPTION_DEVICE},
    {"ring-folder", required_argument, NULL, OPTION_RING},
    {"host", required_argument, NULL, OPTION_HOST},
    {"port", required_argument, NULL, OPTION_PORT},
    {"server-name", required_argument, NULL, OPTION_SERVER_NAME},
    {"ca", required_argument, NULL, OPTION_CA},
    {"cert", required_argument, NULL, OPTION_CERT},
    {"key", required_argument, NULL, OPTION_KEY},
    {"token", required_argument, NULL, OPTION_TOKEN},
    {"proxy", required_argument, NULL, OPTION_PROXY},
    {"proxy-login", required_argument, NULL, OPTION_PROXY_LOGIN},
    {"linger-ms", required_argument, NULL, OPTION_LINGER},
    {"backoff-max-ms", required_argument, NULL, OPTION_BACKOFF},
    {"stay", required_argument, NULL, OPTION_STAY},
    {"shutdown-ms", required_argument, NULL, OPTION_SHUTDOWN},
    {"drain-only", no_argument, NULL, OPTION_DRAIN},
    {"help", no_argument, NULL, OPTION_HELP},
    {NULL, 0, NULL, 0},
};

static int complain(const char *what, const char *which)
{
    fprintf(stderr, "settop: %s%s (see --help)\n", what, which);
    return -1;
}

static int read_number_of(const char *text, const char *name, uint32_t high, uint32_t *out)
{
    char *end;
    unsigned long value = strtoul(text, &end, 10);

    if (text[0] < '0' || text[0] > '9' || *end != '\0' || value > high)
        return complain("not a number in range: ", name);
    *out = (uint32_t)value;
    return 0;
}

static int read_number(const char *name, uint32_t high, uint32_t *out)
{
    return read_number_of(optarg, name, high, out);
}

/* A secret in the arguments is visible to every user of the machine; a file need not be. buffer must stay. */
static int read_secret(const char *value, char *buffer, size_t capacity, const char **out)
{
    FILE *file;
    size_t length;

    *out = value;
    if (value[0] != '@')
        return 0;
    file = fopen(value + 1, "r");
    if (file == NULL)
        return complain("cannot read the file ", value + 1);
    length = fread(buffer, 1, capacity - 1, file);
    fclose(file);
    buffer[length] = '\0';
    buffer[strcspn(buffer, "\r\n \t")] = '\0';
    *out = buffer;
    return 0;
}

static int read_token(const char *value, const char **out)
{
    static char token[8192];

    return read_secret(value, token, sizeof token, out);
}

static int read_proxy(const char *value, struct device_options *out)
{
    static char host[256];
    const char *colon = strrchr(value, ':');
    uint32_t port;

    if (colon == NULL || colon == value || (size_t)(colon - value) >= sizeof host)
        return complain("--proxy wants HOST:PORT, not ", value);
    memcpy(host, value, (size_t)(colon - value));
    if (read_number_of(colon + 1, "--proxy", 65535, &port) != 0)
        return -1;
    out->proxy_host = host;
    out->proxy_port = (uint16_t)port;
    return 0;
}

static int read_proxy_login(const char *value, struct device_options *out)
{
    static char login[512];
    const char *text;

    if (read_secret(value, login, sizeof login, &text) != 0)
        return -1;
    if (strchr(text, ':') == NULL || strlen(text) >= sizeof login)
        return complain("--proxy-login wants USER:PASSWORD", "");
    memmove(login, text, strlen(text) + 1);
    login[strcspn(login, ":")] = '\0';
    out->proxy_user = login;
    out->proxy_password = login + strlen(login) + 1;
    return 0;
}

static int take_number(int option, struct options *out)
{
    uint32_t number = 0;

    switch (option) {
    case OPTION_PORT:
        if (read_number("--port", 65535, &number) != 0)
            return -1;
        out->device.port = (uint16_t)number;
        return 0;
    case OPTION_LINGER:
        return read_number("--linger-ms", 3600000, &out->device.linger_ms);
    case OPTION_BACKOFF:
        return read_number("--backoff-max-ms", 3600000, &out->device.backoff_max_ms);
    case OPTION_STAY:
        if (read_number("--stay", 86400, &number) != 0)
            return -1;
        out->stay_ms = number * 1000;
        return 0;
    default:
        return read_number("--shutdown-ms", 600000, &out->shutdown_ms);
    }
}

static int take(int option, struct options *out)
{
    switch (option) {
    case OPTION_SCRIPT:
        out->script = optarg;
        return 0;
    case OPTION_SIDE_FILE:
        out->side_file = optarg;
        return 0;
    case OPTION_DEVICE:
        out->device.device_id = optarg;
        return 0;
    case OPTION_RING:
        out->device.ring_folder = optarg;
        return 0;
    case OPTION_HOST:
        out->device.host = optarg;
        return 0;
    case OPTION_SERVER_NAME:
        out->device.server_name = optarg;
        return 0;
    case OPTION_CA:
        out->device.ca = optarg;
        return 0;
    case OPTION_CERT:
        out->device.certificate = optarg;
        return 0;
    case OPTION_KEY:
        out->device.key = optarg;
        return 0;
    case OPTION_TOKEN:
        return read_token(optarg, &out->device.token);
    case OPTION_PROXY:
        return read_proxy(optarg, &out->device);
    case OPTION_PROXY_LOGIN:
        return read_proxy_login(optarg, &out->device);
    case OPTION_DRAIN:
        out->drain_only = true;
        return 0;
    default:
        return take_number(option, out);
    }
}

static int check(const struct options *options)
{
    const struct device_options *device = &options->device;

    if (device->device_id == NULL || device->ring_folder == NULL || device->ca == NULL || device->port == 0)
        return complain("--device, --ring-folder, --ca and --port are needed", "");
    if ((device->certificate == NULL) != (device->key == NULL))
        return complain("--cert and --key go together", "");
    if ((device->certificate != NULL) == (device->token != NULL))
        return complain("give either --cert and --key or --token", "");
    if (device->proxy_user != NULL && device->proxy_host == NULL)
        return complain("--proxy-login goes with --proxy", "");
    if ((options->script != NULL) == options->drain_only)
        return complain("give either --script or --drain-only", "");
    return 0;
}

int options_read(int argc, char **argv, struct options *out)
{
    int option;

    *out = (struct options){.shutdown_ms = 2000};
    out->device.host = "127.0.0.1";
    out->device.server_name = "localhost";
    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
        if (option == '?')
            return -1;
        if (option == OPTION_HELP) {
            fputs(usage, stdout);
            return 1;
        }
        if (take(option, out) != 0)
            return -1;
    }
    if (optind != argc)
        return complain("unexpected argument ", argv[optind]);
    if (out->drain_only && out->stay_ms == 0)
        out->stay_ms = 10000;
    return check(out);
}
