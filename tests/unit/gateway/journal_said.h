/* For the tests of what works on whole journals: what a report said, and folders beside the journal's. */
#ifndef TESTS_JOURNAL_SAID_H
#define TESTS_JOURNAL_SAID_H

#include "journal/maintain.h"
#include "journal_fixture.h"

/* What a report said, a line of it after the other. */
struct said {
    char text[8192];
    size_t lines, unsound;
};

static inline void say(void *context, const struct gw_journal_report *report)
{
    struct said *said = context;
    size_t len = strlen(said->text);
    snprintf(said->text + len, sizeof said->text - len, "%s: %s\n", report->segment, report->found);
    said->lines++;
    said->unsound += !report->sound;
}

static inline struct gw_path beside(struct fixture *f, const char *name)
{
    struct gw_path path;
    int n = snprintf(path.text, sizeof path.text, "%s-%s", f->folder, name);
    assert_true(n > 0 && (size_t)n < sizeof path.text);
    return path;
}

static inline int remove_all(void **state)
{
    struct fixture *f = *state;
    run("rm -rf '%s'-*", f->folder);
    return fixture_teardown(state);
}

#endif
