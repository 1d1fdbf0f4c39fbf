/* Commands that need no gateway: check-config and reference. */
#include <string.h>

#include "config/config.h"
#include "config/keys.h"
#include "ctl.h"
#include "observe/metrics.h"

int ctl_check_config(const struct ctl *ctl)
{
    if (ctl->argument_count != 1)
        return ctl_fail(CTL_USAGE, "check-config takes one file: tributaryctl check-config FILE");
    struct gw_config config;
    struct gw_config_report report;
    if (gw_config_load_report(ctl->arguments[0], &config, &report) != GW_OK) {
        for (size_t i = 0; i < report.count; i++)
            (void)fprintf(stderr, "%s\n", report.errors[i].text);
        if (report.more)
            (void)fprintf(stderr, "and %zu more\n", report.more);
        return CTL_BAD;
    }
    int warnings = gw_config_check_print(&config, stdout);
    gw_config_free(&config);
    return warnings ? CTL_BAD : CTL_OK;
}

int ctl_reference(const struct ctl *ctl)
{
    const char *topic = ctl->argument_count == 1 ? ctl->arguments[0] : "";
    if (strcmp(topic, "configuration") == 0)
        gw_config_print_reference(stdout);
    else if (strcmp(topic, "example") == 0)
        gw_config_print_example(stdout);
    else if (strcmp(topic, "metrics") == 0)
        gw_metrics_print_reference(stdout);
    else
        return ctl_fail(CTL_USAGE, "reference takes one topic: configuration, example or metrics");
    return CTL_OK;
}
