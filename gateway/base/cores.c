#include "base/cores.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>

unsigned gw_usable_cores(void)
{
    cpu_set_t cores;
    int count = sched_getaffinity(0, sizeof cores, &cores) == 0 ? CPU_COUNT(&cores) : 1;
    return count > 0 ? (unsigned)count : 1;
}

/* Moves text behind the number. -1: there is none, or one that no CPU has. */
static int number(const char **text)
{
    char *end;
    if (!isdigit((unsigned char)**text))
        return -1;
    unsigned long value = strtoul(*text, &end, 10);
    *text = end;
    return value < CPU_SETSIZE ? (int)value : -1;
}

int gw_cores_parse(const char *list, cpu_set_t *out)
{
    CPU_ZERO(out);
    for (const char *at = list;; at++) {
        int first = number(&at), last = first;
        if (first >= 0 && *at == '-') {
            at++;
            last = number(&at);
        }
        if (first < 0 || last < first || (*at != ',' && *at != '\0'))
            return GW_EINVALID;
        for (int cpu = first; cpu <= last; cpu++)
            CPU_SET((size_t)cpu, out);
        if (*at == '\0')
            return GW_OK;
    }
}

int gw_cores_thread(const char *list, pthread_t *out, void *(*run)(void *), void *context)
{
    cpu_set_t cores;
    pthread_attr_t attributes;
    if (list[0] != '\0' && gw_cores_parse(list, &cores) != GW_OK)
        return EINVAL;
    int failed = pthread_attr_init(&attributes);
    if (failed)
        return failed;
    if (list[0] != '\0')
        failed = pthread_attr_setaffinity_np(&attributes, sizeof cores, &cores);
    if (!failed)
        failed = pthread_create(out, &attributes, run, context);
    pthread_attr_destroy(&attributes);
    return failed;
}
