/* powercut-rebuild TRACE --at N --seed S --out FOLDER [--base FOLDER], or TRACE --last */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rebuild.h"

static int usage(void)
{
    fputs("powercut-rebuild TRACE --at POSITION --seed NUMBER --out FOLDER [--base FOLDER]\n"
          "powercut-rebuild TRACE --last\n",
          stderr);
    return 2;
}

int main(int argc, char **argv)
{
    const char *trace = NULL, *out = NULL, *base = NULL;
    unsigned long long at = 0, seed = 1;
    int last = 0;
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (strcmp(argv[i], "--last") == 0) {
            last = 1;
        } else if (argv[i][0] != '-' && !trace) {
            trace = argv[i];
        } else if (!value) {
            return usage();
        } else {
            if (strcmp(argv[i], "--at") == 0)
                at = strtoull(value, NULL, 10);
            else if (strcmp(argv[i], "--seed") == 0)
                seed = strtoull(value, NULL, 10);
            else if (strcmp(argv[i], "--out") == 0)
                out = value;
            else if (strcmp(argv[i], "--base") == 0)
                base = value;
            else
                return usage();
            i++;
        }
    }
    struct pc_rebuild *r;
    if (!trace || (!last && !out))
        return usage();
    if (pc_rebuild_open(trace, base, &r) != 0)
        return 1;
    int rc = 0;
    if (last) {
        printf("%llu\n", (unsigned long long)pc_rebuild_last(r));
    } else {
        static const char *const rules[] = {"in order", "by folder", "any"};
        struct pc_cut cut;
        rc = pc_rebuild_seek(r, at) != 0 || pc_rebuild_write(r, seed, out, &cut) != 0;
        if (rc == 0)
            printf("cut at %llu: names %s, %llu of %llu pending kept; writes %llu of %llu pending kept, %llu "
                   "torn\n",
                   at, rules[cut.names], (unsigned long long)cut.names_kept,
                   (unsigned long long)cut.names_pending, (unsigned long long)cut.writes_kept,
                   (unsigned long long)cut.writes_pending, (unsigned long long)cut.writes_torn);
        if (pc_rebuild_strangers(r) != 0)
            fprintf(stderr, "powercut-rebuild: %llu names were seen that nobody was seen making\n",
                    (unsigned long long)pc_rebuild_strangers(r));
    }
    pc_rebuild_close(r);
    return rc;
}
