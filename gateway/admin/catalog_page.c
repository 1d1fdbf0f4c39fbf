/* The catalog as a page for people: one file without scripts, all of whose texts come from schemas and are escaped. */
#include <stdio.h>
#include <stdlib.h>

#include "admin/catalog.h"

static void escaped(FILE *page, const char *text)
{
    for (; *text; text++) {
        if (*text == '<')
            (void)fputs("&lt;", page);
        else if (*text == '>')
            (void)fputs("&gt;", page);
        else if (*text == '&')
            (void)fputs("&amp;", page);
        else if (*text == '"')
            (void)fputs("&quot;", page);
        else
            (void)fputc(*text, page);
    }
}

static const char *text_of(const cJSON *object, const char *name)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
    return text ? text : "";
}

static bool is_set(const cJSON *object, const char *name)
{
    return cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(object, name));
}

static void cell(FILE *page, const char *text)
{
    (void)fputs("<td>", page);
    escaped(page, text);
    (void)fputs("</td>", page);
}

static void attribute(FILE *page, const cJSON *row)
{
    (void)fputs("<tr><td><code>", page);
    escaped(page, text_of(row, "name"));
    (void)fputs("</code></td>", page);
    cell(page, text_of(row, "type"));
    cell(page, is_set(row, "required") ? "yes" : "");
    cell(page, text_of(row, "privacy"));
    cell(page, text_of(row, "description"));
    (void)fputs("</tr>\n", page);
}

static void term(FILE *page, const char *name, const char *text)
{
    (void)fprintf(page, "<dt>%s</dt><dd>", name);
    escaped(page, *text ? text : "nobody has said");
    (void)fputs("</dd>\n", page);
}

static void schema(FILE *page, const cJSON *row)
{
    const cJSON *attributes = cJSON_GetObjectItemCaseSensitive(row, "attributes"), *each;
    (void)fputs("<section><h2>", page);
    escaped(page, text_of(row, "name"));
    (void)fputs("</h2>\n<p>", page);
    escaped(page, text_of(row, "description"));
    (void)fputs("</p>\n<dl>", page);
    if (is_set(row, "built_in"))
        (void)fputs("<dt>Schema</dt><dd>built in</dd>\n", page);
    else
        (void)fprintf(page, "<dt>Schema</dt><dd>version %.0f, id %.0f</dd>\n",
                      cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(row, "version")),
                      cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(row, "id")));
    term(page, "Owner", text_of(row, "owner"));
    term(page, "In the stream as", text_of(row, "stream"));
    term(page, "In the lake at", text_of(row, "lake"));
    (void)fputs(
        "</dl>\n<table><tr><th>Attribute</th><th>Type</th><th>Required</th><th>Privacy</th><th>What it "
        "is</th></tr>\n",
        page);
    cJSON_ArrayForEach(each, attributes)
    {
        attribute(page, each);
    }
    (void)fputs("</table></section>\n", page);
}

char *gw_admin_catalog_page(const cJSON *rows, size_t *out_len)
{
    char *text = NULL;
    FILE *page = open_memstream(&text, out_len);
    const cJSON *row;
    if (!page)
        return NULL;
    (void)fputs(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>What data there is</title>\n"
        "<meta name=\"viewport\" content=\"width=device-width\">\n<style>\n"
        "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 "
        "1rem;color:#222}\n"
        "section{border-top:1px solid #ccc;padding:.5rem 0 1rem}h2{font-family:monospace;margin:.5rem 0 "
        "0}p{margin:.2rem 0 .8rem}\n"
        "dl{display:grid;grid-template-columns:max-content 1fr;gap:.1rem 1rem;margin:0 0 "
        ".8rem}dt{color:#666}dd{margin:0}\n"
        "table{border-collapse:collapse;width:100%}th,td{text-align:left;vertical-align:top;padding:.2rem "
        ".8rem .2rem 0}\n"
        "th{color:#666;font-weight:normal;border-bottom:1px solid #ccc}\n"
        "</style></head><body>\n<h1>What data there is</h1>\n"
        "<p>Each schema, who answers for it, and where its events lie. The same as data: <a "
        "href=\"/v1/catalog\">/v1/catalog</a>.</p>\n",
        page);
    cJSON_ArrayForEach(row, rows)
    {
        schema(page, row);
    }
    (void)fputs("</body></html>\n", page);
    const bool whole = !ferror(page);
    if (fclose(page) == 0 && whole)
        return text;
    free(text);
    return NULL;
}
