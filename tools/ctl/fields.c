#include "fields.h"

#include <string.h>

static void skip_space(struct ctl_fields *f)
{
    while (f->at < f->end && strchr(" \t\r\n", *f->at) && *f->at)
        f->at++;
}

static bool take(struct ctl_fields *f, char c)
{
    skip_space(f);
    if (f->at == f->end || *f->at != c)
        return false;
    f->at++;
    return true;
}

/* Behind the opening quote; leaves behind the closing one. */
static bool take_text(struct ctl_fields *f, const char **out, size_t *out_len)
{
    const char *start = f->at;
    while (f->at < f->end && *f->at != '"')
        f->at += *f->at == '\\' ? 2 : 1;
    if (f->at >= f->end)
        return false;
    *out = start;
    *out_len = (size_t)(f->at - start);
    f->at++;
    return true;
}

/* A number or literal up to the next comma or brace; an object or array up to its own end. */
static bool take_other(struct ctl_fields *f, const char **out, size_t *out_len)
{
    const char *start = f->at;
    const char *text;
    size_t text_len, depth = 0;
    while (f->at < f->end) {
        char c = *f->at;
        if (depth == 0 && (c == ',' || c == '}'))
            break;
        f->at++;
        if (c == '{' || c == '[')
            depth++;
        else if ((c == '}' || c == ']') && depth > 0)
            depth--;
        else if (c == '"' && !take_text(f, &text, &text_len))
            return false;
    }
    *out = start;
    *out_len = (size_t)(f->at - start);
    return f->at<f->end && * out_len> 0;
}

bool ctl_fields_open(const char *json, size_t len, struct ctl_fields *out)
{
    *out = (struct ctl_fields){json, json + len};
    return take(out, '{');
}

bool ctl_fields_next(struct ctl_fields *f, struct ctl_field *out)
{
    (void)take(f, ',');
    if (!take(f, '"') || !take_text(f, &out->name, &out->name_len) || !take(f, ':'))
        return false;
    out->text = take(f, '"');
    return out->text ? take_text(f, &out->value, &out->value_len)
                     : take_other(f, &out->value, &out->value_len);
}

bool ctl_fields_find(const char *json, size_t len, const char *name, struct ctl_field *out)
{
    struct ctl_fields fields;
    size_t name_len = strlen(name);
    if (!ctl_fields_open(json, len, &fields))
        return false;
    while (ctl_fields_next(&fields, out))
        if (out->name_len == name_len && memcmp(out->name, name, name_len) == 0)
            return true;
    return false;
}

bool ctl_field_is(const struct ctl_field *field, const char *value)
{
    return field->text && field->value_len == strlen(value) &&
           memcmp(field->value, value, field->value_len) == 0;
}
