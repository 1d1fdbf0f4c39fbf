#include "rules.h"

#define LINE_BYTES 160

const char TRIB_RULE_SKIP[] = "its hook is missing";

/* Appends what fits. */
static void add(char line[LINE_BYTES], const char *text)
{
    size_t have = strlen(line), more = strlen(text);
    if (more > LINE_BYTES - 1 - have)
        more = LINE_BYTES - 1 - have;
    memcpy(line + have, text, more);
    line[have + more] = 0;
}

static void add_number(char line[LINE_BYTES], unsigned number)
{
    char digits[12];
    size_t at = sizeof digits - 1;
    digits[at] = 0;
    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    add(line, digits + at);
}

static void print(const struct trib_conformance *c, const char *line)
{
    if (c->print)
        c->print(c->context, line);
}

static void tell(const struct trib_conformance *c, const char *verdict, const char *rule, const char *why)
{
    char line[LINE_BYTES] = "";
    add(line, verdict);
    add(line, rule);
    if (why) {
        add(line, ": ");
        add(line, why);
    }
    print(c, line);
}

static void check(struct trib_conformance *c, struct trib_rule_run *run, const struct trib_rule *rules)
{
    for (; rules->name; rules++) {
        const char *why = rules->check(run);
        if (why == TRIB_RULE_SKIP) {
            c->skipped++;
            tell(c, "skip ", rules->name, why);
        } else if (why) {
            c->failed++;
            c->first_failed = c->first_failed ? c->first_failed : rules->name;
            tell(c, "FAIL ", rules->name, why);
        } else {
            c->passed++;
            tell(c, "ok ", rules->name, NULL);
        }
    }
}

int trib_conformance_run(struct trib_conformance *c, const struct trib_conformance_ports *ports)
{
    struct trib_rule_run run = {ports, c->scratch};
    char line[LINE_BYTES] = "";
    c->passed = c->failed = c->skipped = 0;
    c->first_failed = NULL;
    if (ports->clock)
        check(c, &run, TRIB_RULES_CLOCK);
    if (ports->discontinuity)
        check(c, &run, TRIB_RULES_DISCONTINUITY);
    if (ports->entropy)
        check(c, &run, TRIB_RULES_ENTROPY);
    if (ports->digest)
        check(c, &run, TRIB_RULES_DIGEST);
    if (ports->lock)
        check(c, &run, TRIB_RULES_LOCK);
    if (ports->wait && ports->clock)
        check(c, &run, TRIB_RULES_WAIT);
    if (ports->storage)
        check(c, &run, TRIB_RULES_STORAGE);
    if (ports->net && ports->clock)
        check(c, &run, TRIB_RULES_NET);
    add_number(line, c->passed);
    add(line, " passed, ");
    add_number(line, c->failed);
    add(line, " failed, ");
    add_number(line, c->skipped);
    add(line, " skipped");
    print(c, line);
    return (int)c->failed;
}
