/*
 * The script of user actions: one a line, `SECONDS VERB ARGUMENTS`, times counted from the start and never
 * going back. `#` begins a comment; double quotes hold words with blanks together.
 *
 *   0.0 play movie1.mp4 content=movie-1 user=alice    load a file and play it (a relative path: from the
 * script) 3.0 pause 4.0 play                                          go on 6.0 seek 12.5        or  seek +5,
 * seek -5         seconds 8.0 rate 1.5 9.0 mute on          or  mute off 10  favourite add movie-1 list=kids
 * user=alice    or  favourite remove 11  custom menu.opened item=settings depth=2      a custom event: schema
 * and attributes 12  next movie2.mp4 content=movie-2 user=alice    the current one ends, another begins 19
 * stop                                          the current one ends 20  quit
 */
#ifndef SETTOP_SCRIPT_H
#define SETTOP_SCRIPT_H

#include <stddef.h>
#include <stdint.h>

#define SCRIPT_ACTIONS_MAX 512
#define SCRIPT_ATTRIBUTES_MAX 8

enum script_verb {
    SCRIPT_LOAD, /* `play FILE` and `next FILE` */
    SCRIPT_PLAY,
    SCRIPT_PAUSE,
    SCRIPT_SEEK,          /* number: to this second */
    SCRIPT_SEEK_RELATIVE, /* number: by so many seconds */
    SCRIPT_RATE,
    SCRIPT_MUTE, /* number: 0 or 1 */
    SCRIPT_FAVOURITE_ADD,
    SCRIPT_FAVOURITE_REMOVE,
    SCRIPT_CUSTOM,
    SCRIPT_STOP,
    SCRIPT_QUIT,
};

struct script_attribute {
    const char *name, *value;
};

struct script_action {
    uint64_t at_ms;
    enum script_verb verb;
    double number;
    const char *subject;               /* file, item or schema; NULL where the verb has none */
    const char *content, *user, *list; /* NULL where not given */
    struct script_attribute attributes[SCRIPT_ATTRIBUTES_MAX]; /* SCRIPT_CUSTOM */
    size_t attribute_count;
    unsigned line;
};

struct script {
    struct script_action actions[SCRIPT_ACTIONS_MAX];
    size_t count;
    char *text;      /* what the actions' texts point into */
    char error[160]; /* of a failed read: line and reason */
};

const char *script_verb_name(enum script_verb verb);

/* Parses text, which is cut up in place and must outlive the script. 0, or -1 with out->error filled in. */
int script_parse(char *text, struct script *out);

/* Reads and parses a file. 0, or -1 with out->error filled in. script_free after success. */
int script_read(const char *path, struct script *out);
void script_free(struct script *script);

#endif
