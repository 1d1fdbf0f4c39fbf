/* Any bytes as a configuration: an error with a text, or values that print to a configuration which is the same. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"

#define TEXT_MAX (1 << 20)

static const char *environment(void *context, const char *name)
{
    (void)context;
    return strcmp(name, "A") == 0 ? "8443" : strcmp(name, "B") == 0 ? "" : NULL;
}

static size_t print(const struct gw_config *config, char *text)
{
    FILE *out = fmemopen(text, TEXT_MAX, "w");
    if (!out)
        abort();
    gw_config_print_effective(config, out);
    long len = ftell(out);
    fclose(out);
    return (size_t)len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct gw_config_report report;
    static char first[TEXT_MAX], second[TEXT_MAX];
    struct gw_config config;
    if (gw_config_parse("f.yaml", (const char *)data, size, environment, NULL, &config, &report) != GW_OK) {
        if (report.count == 0 || report.count > GW_CONFIG_ERRORS_MAX ||
            strncmp(report.errors[0].text, "f.yaml:", 7) != 0)
            abort();
        return 0;
    }
    size_t len = print(&config, first);
    gw_config_free(&config);
    if (gw_config_parse("f.yaml", first, len, environment, NULL, &config, &report) != GW_OK)
        abort();
    if (print(&config, second) != len || memcmp(first, second, len) != 0)
        abort();
    gw_config_free(&config);
    return 0;
}
