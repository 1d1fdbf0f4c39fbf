/* How tributaryctl writes: errors, numbers, colours. */
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "config/units.h"
#include "ctl.h"

int ctl_fail(enum ctl_exit code, const char *format, ...)
{
    (void)fflush(stdout);
    (void)fputs("tributaryctl: ", stderr);
    va_list args;
    va_start(args, format);
    (void)vfprintf(stderr, format, args);
    va_end(args);
    (void)fputc('\n', stderr);
    return (int)code;
}

int ctl_print_json(const cJSON *tree)
{
    char *text = cJSON_Print(tree);
    if (!text)
        return ctl_fail(CTL_FAILED, "out of memory");
    puts(text);
    cJSON_free(text);
    return CTL_OK;
}

int ctl_take_number(const char *name, const char *value, uint64_t most, uint64_t *out)
{
    uint64_t number;
    if (!value || !gw_units_number(value, &number) || number > most)
        return ctl_fail(CTL_USAGE, "%s needs a whole number up to %" PRIu64, name, most);
    *out = number;
    return CTL_OK;
}

int ctl_need_data(const struct ctl *ctl)
{
    if (ctl->data)
        return CTL_OK;
    return ctl_fail(CTL_USAGE,
                    "which data folder? Give --data DIR, or --config FILE (the gateway's configuration)");
}

const char *ctl_grouped(uint64_t value, char out[CTL_NUMBER_MAX])
{
    char digits[24];
    int len = snprintf(digits, sizeof digits, "%" PRIu64, value);
    char *to = out;
    for (int i = 0; i < len; i++) {
        if (i > 0 && (len - i) % 3 == 0)
            *to++ = ',';
        *to++ = digits[i];
    }
    *to = 0;
    return out;
}

const char *ctl_bold(const struct ctl *ctl)
{
    return ctl->colour ? "\033[1m" : "";
}

const char *ctl_good(const struct ctl *ctl)
{
    return ctl->colour ? "\033[32m" : "";
}

const char *ctl_bad(const struct ctl *ctl)
{
    return ctl->colour ? "\033[1;31m" : "";
}

const char *ctl_dim(const struct ctl *ctl)
{
    return ctl->colour ? "\033[2m" : "";
}

const char *ctl_plain(const struct ctl *ctl)
{
    return ctl->colour ? "\033[0m" : "";
}
