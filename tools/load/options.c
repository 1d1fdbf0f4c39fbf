#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

static const char help[] =
    "tributary-load: simulated devices that send events to a gateway over TLS websockets.\n"
    "\n"
    "usage: tributary-load --url wss://HOST:PORT/v1 --ca FILE CREDENTIALS [OPTIONS]\n"
    "       tributary-load check --obligations FILE --stream-json FILE|- [--at POSITION]\n"
    "\n"
    "Where:\n"
    "  --url URL            of the gateway, as in wss://127.0.0.1:8443/v1\n"
    "  --ca FILE            PEM file of the authority that signed the gateway's certificate\n"
    "  --addresses N        connect from N addresses of 127.0.0.0/8 in turn: for more connections than one "
    "has ports\n"
    "\n"
    "Credentials (one of these):\n"
    "  --device-ca FILE --ca-key FILE    issue a certificate for each device (development CA)\n"
    "  --cert-dir FOLDER                 device-ID.pem and device-ID.key for each device\n"
    "  --cert FILE --key FILE            one device's certificate\n"
    "  --jwt-key FILE [--jwt-kid KID] [--jwt-audience AUD]   sign an ES256 token for each device\n"
    "  --token TOKEN | --token-file FILE one device's token\n"
    "  --device-prefix TEXT with several devices, ids are TEXT and five digits (default load-);\n"
    "                       with one device whose id the credentials hold, it is read from them\n"
    "\n"
    "What is sent:\n"
    "  --devices N          devices, all at a time (default 1)\n"
    "  --events N           events of each device (default 1000; 0: until --duration)\n"
    "  --batch N            events a batch (default 100)\n"
    "  --window N           batches in flight a device (default 4)\n"
    "  --rate R             events a second of all devices (default 0: as fast as it goes)\n"
    "  --users N            each event carries one of N user ids (default 0: none)\n"
    "  --seed N             repeat a run: streams and contents follow from it (default: random)\n"
    "\n"
    "How:\n"
    "  --duration S         stop sending after S seconds (default 0: when all is acked)\n"
    "  --patience S         give up after S seconds without progress (default 60)\n"
    "  --no-reconnect       a lost connection is an error\n"
    "  --hold               stay connected when all is acked, until --duration or a signal\n"
    "  --chaos              leap, repeat and disconnect at random, and check what the gateway says\n"
    "\n"
    "Proof:\n"
    "  --obligations FILE   write what was acked, line by line (also: --verify FILE)\n"
    "  --ack-position FILE  an 8-byte counter, mapped, whose value is added to each line\n"
    "\n"
    "Output:\n"
    "  --format text|json   (default text)\n"
    "  --quiet              no progress on stderr\n"
    "\n"
    "Exit status: 0 all events were acked (or --duration ended); 1 not, or the gateway broke a promise; 2 "
    "usage.\n";

enum option_id {
    OPT_URL = 256,
    OPT_CA,
    OPT_ADDRESSES,
    OPT_CERT,
    OPT_KEY,
    OPT_CERT_DIR,
    OPT_DEVICE_CA,
    OPT_CA_KEY,
    OPT_TOKEN,
    OPT_TOKEN_FILE,
    OPT_JWT_KEY,
    OPT_JWT_KID,
    OPT_JWT_AUDIENCE,
    OPT_DEVICE_PREFIX,
    OPT_DEVICES,
    OPT_EVENTS,
    OPT_BATCH,
    OPT_WINDOW,
    OPT_RATE,
    OPT_USERS,
    OPT_SEED,
    OPT_DURATION,
    OPT_PATIENCE,
    OPT_NO_RECONNECT,
    OPT_RECONNECT,
    OPT_HOLD,
    OPT_CHAOS,
    OPT_OBLIGATIONS,
    OPT_ACK_POSITION,
    OPT_FORMAT,
    OPT_QUIET,
    OPT_HELP,
};

static const struct option options[] = {
    {"url", required_argument, NULL, OPT_URL},
    {"ca", required_argument, NULL, OPT_CA},
    {"addresses", required_argument, NULL, OPT_ADDRESSES},
    {"cert", required_argument, NULL, OPT_CERT},
    {"key", required_argument, NULL, OPT_KEY},
    {"cert-dir", required_argument, NULL, OPT_CERT_DIR},
    {"device-ca", required_argument, NULL, OPT_DEVICE_CA},
    {"ca-key", required_argument, NULL, OPT_CA_KEY},
    {"token", required_argument, NULL, OPT_TOKEN},
    {"token-file", required_argument, NULL, OPT_TOKEN_FILE},
    {"jwt-key", required_argument, NULL, OPT_JWT_KEY},
    {"jwt-kid", required_argument, NULL, OPT_JWT_KID},
    {"jwt-audience", required_argument, NULL, OPT_JWT_AUDIENCE},
    {"device-prefix", required_argument, NULL, OPT_DEVICE_PREFIX},
    {"devices", required_argument, NULL, OPT_DEVICES},
    {"events", required_argument, NULL, OPT_EVENTS},
    {"batch", required_argument, NULL, OPT_BATCH},
    {"window", required_argument, NULL, OPT_WINDOW},
    {"rate", required_argument, NULL, OPT_RATE},
    {"users", required_argument, NULL, OPT_USERS},
    {"seed", required_argument, NULL, OPT_SEED},
    {"duration", required_argument, NULL, OPT_DURATION},
    {"patience", required_argument, NULL, OPT_PATIENCE},
    {"no-reconnect", no_argument, NULL, OPT_NO_RECONNECT},
    {"reconnect", no_argument, NULL, OPT_RECONNECT},
    {"hold", no_argument, NULL, OPT_HOLD},
    {"chaos", no_argument, NULL, OPT_CHAOS},
    {"obligations", required_argument, NULL, OPT_OBLIGATIONS},
    {"verify", required_argument, NULL, OPT_OBLIGATIONS},
    {"ack-position", required_argument, NULL, OPT_ACK_POSITION},
    {"format", required_argument, NULL, OPT_FORMAT},
    {"quiet", no_argument, NULL, OPT_QUIET},
    {"help", no_argument, NULL, OPT_HELP},
    {NULL, 0, NULL, 0},
};

static int complain(const char *what, const char *value)
{
    fprintf(stderr, "tributary-load: %s%s; see --help\n", what, value);
    return -1;
}

static int parse_url(const char *url, struct load_options *o)
{
    char port[8] = "443";
    const char *rest = url + 6;

    if (strncmp(url, "wss://", 6) != 0)
        return complain("a URL wss://HOST:PORT/PATH is expected, not ", url);
    size_t authority = strcspn(rest, "/");
    const char *path = rest[authority] ? rest + authority : "/v1";
    size_t host = rest[0] == '[' ? strcspn(rest, "]") : strcspn(rest, ":/");
    const char *behind = rest + host + (rest[0] == '[');
    size_t skip = rest[0] == '[';
    if (host <= skip || host - skip >= sizeof o->host || strlen(path) >= sizeof o->path || host > authority)
        return complain("a URL wss://HOST:PORT/PATH is expected, not ", url);
    memcpy(o->host, rest + skip, host - skip);
    o->host[host - skip] = '\0';
    if (*behind == ':') {
        size_t digits = strspn(behind + 1, "0123456789");
        if (digits < 1 || digits > 5 || behind + 1 + digits != rest + authority)
            return complain("the port is wrong in ", url);
        memcpy(port, behind + 1, digits);
        port[digits] = '\0';
    }
    long number = strtol(port, NULL, 10);
    if (number < 1 || number > 65535)
        return complain("the port is wrong in ", url);
    o->port = (uint16_t)number;
    strcpy(o->path, path);
    return 0;
}

static int parse_count(const char *text, uint64_t least, uint64_t most, uint64_t *out)
{
    char *end;

    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (errno || *end || end == text || *text == '-' || value < least || value > most)
        return complain("a number out of its range: ", text);
    *out = value;
    return 0;
}

static int parse_real(const char *text, double *out)
{
    char *end;
    double value = strtod(text, &end);

    if (*end || end == text || !(value >= 0 && value < 1e12))
        return complain("a number of 0 or more is expected, not ", text);
    *out = value;
    return 0;
}

static int parse_number(int id, const char *text, struct load_options *o)
{
    switch (id) {
    case OPT_ADDRESSES:
        return parse_count(text, 1, LOAD_SOURCES_MAX, &o->addresses);
    case OPT_DEVICES:
        return parse_count(text, 1, 100000, &o->devices);
    case OPT_EVENTS:
        return parse_count(text, 0, UINT64_MAX / 2, &o->events);
    case OPT_BATCH:
        return parse_count(text, 1, 100000, &o->batch);
    case OPT_WINDOW:
        return parse_count(text, 1, 1024, &o->window);
    case OPT_USERS:
        return parse_count(text, 0, UINT32_MAX, &o->users);
    case OPT_SEED:
        return parse_count(text, 0, UINT64_MAX, &o->seed);
    case OPT_RATE:
        return parse_real(text, &o->rate);
    case OPT_DURATION:
        return parse_real(text, &o->duration);
    default:
        return parse_real(text, &o->patience);
    }
}

static int take(int id, const char *value, struct load_options *o)
{
    switch (id) {
    case OPT_URL:
        return parse_url(value, o);
    case OPT_CA:
        o->ca = value;
        return 0;
    case OPT_CERT:
        o->cert = value;
        return 0;
    case OPT_KEY:
        o->key = value;
        return 0;
    case OPT_CERT_DIR:
        o->cert_dir = value;
        return 0;
    case OPT_DEVICE_CA:
        o->device_ca = value;
        return 0;
    case OPT_CA_KEY:
        o->ca_key = value;
        return 0;
    case OPT_TOKEN:
        o->token = value;
        return 0;
    case OPT_TOKEN_FILE:
        o->token_file = value;
        return 0;
    case OPT_JWT_KEY:
        o->jwt_key = value;
        return 0;
    case OPT_JWT_KID:
        o->jwt_kid = value;
        return 0;
    case OPT_JWT_AUDIENCE:
        o->jwt_audience = value;
        return 0;
    case OPT_DEVICE_PREFIX:
        o->device_prefix = value;
        return strlen(value) <= 48 ? 0 : complain("the prefix is longer than 48 bytes: ", value);
    case OPT_NO_RECONNECT:
    case OPT_RECONNECT:
        o->reconnect = id == OPT_RECONNECT;
        return 0;
    case OPT_HOLD:
        o->hold = true;
        return 0;
    case OPT_CHAOS:
        o->chaos = true;
        return 0;
    case OPT_OBLIGATIONS:
        o->obligations = value;
        return 0;
    case OPT_ACK_POSITION:
        o->ack_position = value;
        return 0;
    case OPT_QUIET:
        o->quiet = true;
        return 0;
    case OPT_FORMAT:
        o->format = strcmp(value, "json") == 0 ? LOAD_JSON : LOAD_TEXT;
        return strcmp(value, "json") == 0 || strcmp(value, "text") == 0 ? 0
                                                                        : complain("no such format: ", value);
    default:
        return parse_number(id, value, o);
    }
}

static int check(const struct load_options *o)
{
    int ways = (o->cert || o->key) + (o->cert_dir != NULL) + (o->device_ca || o->ca_key) +
               (o->jwt_key != NULL) + (o->token || o->token_file);

    if (!o->host[0])
        return complain("--url is missing", "");
    if (!o->ca)
        return complain("--ca is missing: the authority of the gateway's certificate", "");
    if (ways != 1)
        return complain("exactly one kind of credentials is expected", "");
    if (!o->cert != !o->key)
        return complain("--cert and --key belong together", "");
    if (!o->device_ca != !o->ca_key)
        return complain("--device-ca and --ca-key belong together", "");
    if ((o->cert || o->token || o->token_file) && o->devices > 1)
        return complain("these credentials are of one device: leave out --devices", "");
    if (o->events == 0 && o->duration == 0)
        return complain("--events 0 needs a --duration", "");
    return 0;
}

int load_options_parse(int argc, char **argv, struct load_options *out)
{
    struct load_options o = {.jwt_kid = "load",
                             .jwt_audience = "tributary",
                             .device_prefix = "load-",
                             .devices = 1,
                             .events = 1000,
                             .batch = 100,
                             .window = 4,
                             .patience = 60,
                             .reconnect = true};
    int id;

    if (getrandom(&o.seed, sizeof o.seed, 0) != sizeof o.seed)
        return complain("no random numbers from the system", "");
    o.seed >>= 32; /* short enough to be typed */
    while ((id = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (id == OPT_HELP) {
            fputs(help, stdout);
            return 1;
        }
        if (id == '?')
            return -1; /* getopt has said why */
        if (take(id, optarg, &o))
            return -1;
    }
    if (optind < argc)
        return complain("not understood: ", argv[optind]);
    if (check(&o))
        return -1;
    *out = o;
    return 0;
}
