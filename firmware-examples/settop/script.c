#include "script.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORDS_MAX 16
#define FILE_BYTES_MAX (1u << 20)

struct words {
    char *word[WORDS_MAX];
    size_t count;
};

static const char *const verb_names[] = {
    [SCRIPT_LOAD] = "load",
    [SCRIPT_PLAY] = "play",
    [SCRIPT_PAUSE] = "pause",
    [SCRIPT_SEEK] = "seek",
    [SCRIPT_SEEK_RELATIVE] = "seek-relative",
    [SCRIPT_RATE] = "rate",
    [SCRIPT_MUTE] = "mute",
    [SCRIPT_FAVOURITE_ADD] = "favourite-add",
    [SCRIPT_FAVOURITE_REMOVE] = "favourite-remove",
    [SCRIPT_CUSTOM] = "custom",
    [SCRIPT_STOP] = "stop",
    [SCRIPT_QUIT] = "quit",
};

const char *script_verb_name(enum script_verb verb)
{
    return verb_names[verb];
}

static int fail(struct script *script, unsigned line, const char *format, ...)
{
    va_list arguments;
    int used = line ? snprintf(script->error, sizeof script->error, "line %u: ", line) : 0;

    va_start(arguments, format);
    vsnprintf(script->error + used, sizeof script->error - (size_t)used, format, arguments);
    va_end(arguments);
    return -1;
}

/* Cuts a line into words; -1 when a quote is open at the end or there are too many. */
static int split(char *line, struct words *out)
{
    char *at = line;

    out->count = 0;
    for (;;) {
        char *write;

        at += strspn(at, " \t\r");
        if (*at == '\0' || *at == '#')
            return 0;
        if (out->count == WORDS_MAX)
            return -1;
        out->word[out->count++] = write = at;
        while (*at != '\0' && strchr(" \t\r", *at) == NULL) {
            if (*at != '"') {
                *write++ = *at++;
                continue;
            }
            for (at++; *at != '"'; at++) {
                if (*at == '\0')
                    return -1;
                *write++ = *at;
            }
            at++;
        }
        if (*at != '\0')
            at++;
        *write = '\0';
    }
}

static int parse_number(const char *word, double low, double high, double *out)
{
    char *end;
    double value = strtod(word, &end);

    if (end == word || *end != '\0' || !isfinite(value) || value < low || value > high)
        return -1;
    *out = value;
    return 0;
}

/* Takes `name=value` words from index on. */
static int parse_options(struct script *script, struct script_action *action, const struct words *words,
                         size_t from)
{
    for (size_t i = from; i < words->count; i++) {
        char *value = strchr(words->word[i], '=');

        if (value == NULL || value[1] == '\0')
            return fail(script, action->line, "expected name=value, not `%s`", words->word[i]);
        *value++ = '\0';
        if (action->verb == SCRIPT_CUSTOM) {
            if (action->attribute_count == SCRIPT_ATTRIBUTES_MAX)
                return fail(script, action->line, "at most %d attributes", SCRIPT_ATTRIBUTES_MAX);
            action->attributes[action->attribute_count++] =
                (struct script_attribute){.name = words->word[i], .value = value};
        } else if (strcmp(words->word[i], "content") == 0) {
            action->content = value;
        } else if (strcmp(words->word[i], "user") == 0) {
            action->user = value;
        } else if (strcmp(words->word[i], "list") == 0) {
            action->list = value;
        } else {
            return fail(script, action->line, "unknown option `%s` (known: content, user, list)",
                        words->word[i]);
        }
    }
    return 0;
}

static int parse_subject(struct script *script, struct script_action *action, const struct words *words,
                         size_t at)
{
    if (at >= words->count)
        return fail(script, action->line, "`%s` needs one more word", words->word[1]);
    action->subject = words->word[at];
    return parse_options(script, action, words, at + 1);
}

static int parse_value(struct script *script, struct script_action *action, const struct words *words,
                       double low, double high)
{
    if (words->count != 3 || parse_number(words->word[2], low, high, &action->number) != 0)
        return fail(script, action->line, "`%s` needs one number from %g to %g", words->word[1], low, high);
    return 0;
}

static int parse_verb(struct script *script, struct script_action *action, const struct words *words)
{
    const char *verb = words->word[1];
    const char *second = words->count > 2 ? words->word[2] : "";

    if ((strcmp(verb, "play") == 0 && words->count > 2) || strcmp(verb, "next") == 0) {
        action->verb = SCRIPT_LOAD;
        if (parse_subject(script, action, words, 2) != 0)
            return -1;
        if (action->content == NULL)
            return fail(script, action->line, "`%s FILE` needs content=ID", verb);
        return 0;
    }
    if (strcmp(verb, "seek") == 0) {
        action->verb = second[0] == '+' || second[0] == '-' ? SCRIPT_SEEK_RELATIVE : SCRIPT_SEEK;
        return parse_value(script, action, words, -86400, 86400);
    }
    if (strcmp(verb, "rate") == 0) {
        action->verb = SCRIPT_RATE;
        return parse_value(script, action, words, 0.1, 16);
    }
    if (strcmp(verb, "mute") == 0) {
        action->verb = SCRIPT_MUTE;
        action->number = strcmp(second, "on") == 0;
        if (words->count != 3 || (strcmp(second, "on") != 0 && strcmp(second, "off") != 0))
            return fail(script, action->line, "`mute` needs `on` or `off`");
        return 0;
    }
    if (strcmp(verb, "favourite") == 0) {
        if (strcmp(second, "add") != 0 && strcmp(second, "remove") != 0)
            return fail(script, action->line, "`favourite` needs `add` or `remove`");
        action->verb = second[0] == 'a' ? SCRIPT_FAVOURITE_ADD : SCRIPT_FAVOURITE_REMOVE;
        return parse_subject(script, action, words, 3);
    }
    if (strcmp(verb, "custom") == 0) {
        action->verb = SCRIPT_CUSTOM;
        return parse_subject(script, action, words, 2);
    }
    for (enum script_verb plain = SCRIPT_PLAY; plain <= SCRIPT_QUIT; plain++) {
        if ((plain == SCRIPT_PLAY || plain == SCRIPT_PAUSE || plain >= SCRIPT_STOP) &&
            strcmp(verb, verb_names[plain]) == 0) {
            action->verb = plain;
            return words->count == 2 ? 0 : fail(script, action->line, "`%s` stands alone", verb);
        }
    }
    return fail(
        script, action->line,
        "unknown action `%s` (known: play, pause, seek, rate, mute, favourite, custom, next, stop, quit)",
        verb);
}

static int parse_line(struct script *script, char *line, unsigned number)
{
    struct script_action *action = &script->actions[script->count];
    struct words words;
    double seconds;

    if (split(line, &words) != 0)
        return fail(script, number, "a quote is open, or more than %d words", WORDS_MAX);
    if (words.count == 0)
        return 0;
    if (script->count == SCRIPT_ACTIONS_MAX)
        return fail(script, number, "more than %d actions", SCRIPT_ACTIONS_MAX);
    *action = (struct script_action){.line = number};
    if (words.count < 2 || parse_number(words.word[0], 0, 864000, &seconds) != 0)
        return fail(script, number, "expected SECONDS VERB, e.g. `3.0 pause`");
    action->at_ms = (uint64_t)(seconds * 1000 + 0.5);
    if (script->count > 0 && action->at_ms < script->actions[script->count - 1].at_ms)
        return fail(script, number, "time goes back");
    if (parse_verb(script, action, &words) != 0)
        return -1;
    script->count++;
    return 0;
}

int script_parse(char *text, struct script *out)
{
    unsigned number = 0;

    out->count = 0;
    out->text = NULL;
    out->error[0] = '\0';
    for (char *line = text; line != NULL;) {
        char *end = strchr(line, '\n');

        if (end != NULL)
            *end++ = '\0';
        if (parse_line(out, line, ++number) != 0)
            return -1;
        line = end;
    }
    return 0;
}

int script_read(const char *path, struct script *out)
{
    char *text = NULL;
    size_t length;
    FILE *file = fopen(path, "rb");

    if (file == NULL)
        return fail(out, 0, "%s: %s", path, strerror(errno));
    text = malloc(FILE_BYTES_MAX + 1);
    if (text == NULL) {
        fclose(file);
        return fail(out, 0, "out of memory");
    }
    length = fread(text, 1, FILE_BYTES_MAX + 1, file);
    if (ferror(file) || length > FILE_BYTES_MAX || memchr(text, '\0', length) != NULL) {
        fclose(file);
        free(text);
        return fail(out, 0, "%s: not readable as a text of at most %u bytes", path, FILE_BYTES_MAX);
    }
    fclose(file);
    text[length] = '\0';
    if (script_parse(text, out) != 0) {
        free(text);
        return -1;
    }
    out->text = text;
    return 0;
}

void script_free(struct script *script)
{
    free(script->text);
    script->text = NULL;
    script->count = 0;
}
