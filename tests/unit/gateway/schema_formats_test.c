/* A few of each format; the official suite has many more (conformance.schema). */
#include "schema_fixture.h"

#include "schema/formats.h"

static const struct {
    const char *format;
    const char *good[6], *bad[8];
} cases[] = {
    {"date-time",
     {"2026-02-28T23:59:59Z", "2024-02-29t00:00:00.123456+23:59", "1998-12-31T15:59:60-08:00"},
     {"2026-02-29T00:00:00Z", "2026-13-01T00:00:00Z", "2026-01-01T24:00:00Z", "2026-01-01 00:00:00Z",
      "2026-01-01T00:00:00", "1998-12-31T22:59:60Z", "2026-01-01T00:00:00.Z"}},
    {"date", {"2000-02-29", "0000-01-01"}, {"1900-02-29", "2026-1-01", "2026-04-31", "2026-01-01Z", ""}},
    {"time",
     {"00:00:00Z", "23:59:60Z", "01:29:60+01:30"},
     {"24:00:00Z", "23:59:60+01:00", "12:00:00", "1:00:00Z", "12:00:00+24:00"}},
    {"duration",
     {"P1Y2M3DT4H5M6S", "P4W", "PT1M", "P1D"},
     {"P", "PT", "P1", "1D", "P1D2Y", "P1Y1D", "P1W2D", "P1YT"}},
    {"email",
     {"a@b.example", "a.b+c@example.org", "\"a b\"@example.org", "a@[192.0.2.1]", "a@[IPv6:::1]"},
     {"a", "@b", "a@", ".a@b", "a..b@c", "a@b_c", "a b@c.d", "a@[300.0.0.1]"}},
    {"hostname",
     {"a", "a-b.example", "xn--4gbwdl.xn--wgbh1c"},
     {"", "-a", "a-", "a..b", "a.", "a_b", "ü", "ab--c"}},
    {"ipv4",
     {"0.0.0.0", "255.255.255.255"},
     {"256.0.0.1", "1.2.3", "1.2.3.4.5", "01.2.3.4", "1.2.3.4 ", "0x1.2.3.4", ""}},
    {"ipv6",
     {"::", "::1", "1::", "1:2:3:4:5:6:7:8", "::ffff:192.0.2.1", "1:2:3:4:5:6:192.0.2.1"},
     {"", ":", ":::", "1::2::3", "1:2:3:4:5:6:7", "12345::", "::1%eth0", "1.2.3.4::"}},
    {"uri",
     {"https://a.example/b?c#d", "urn:a:b", "http://[::1]:80/", "mailto:a@b", "http://a:b@c/%20", "a:"},
     {"", "//a/b", "/a", "http://a b", "http://a/%2", "http://[::1", "http://a/<b>", "1a:b"}},
    {"uri-reference", {"", "a", "../a", "#a", "?a", "//a"}, {"a b", "1:a", "%zz", "\\a"}},
    {"uuid",
     {"2EB8AA08-aa98-11ea-b4aa-73b441d16380"},
     {"2eb8aa08aa9811eab4aa73b441d16380", "2eb8aa08-aa98-11ea-b4aa-73b441d1638", "g"}},
    {"regex",
     {"", "^a(b|c)*[^d]{2,3}?$", "(?<!a)\\p{Lu}", "[[]"},
     {"(", "a**", "\\Z", "[", "(?i)", "\\u{110000}", "a{2}{3}"}},
    {"json-pointer", {"", "/", "/a~0b~1/0"}, {"a", "/~", "/~2", "#/a"}},
    {"relative-json-pointer", {"0", "1/a", "2#"}, {"", "/a", "01", "-1/a", "1a", "0##"}},
};

static void test_formats_take_and_refuse_what_their_rfcs_do(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        gw_format_check check = gw_format_find(cases[i].format, strlen(cases[i].format));
        assert_non_null(check);
        for (size_t j = 0; j < 6 && cases[i].good[j]; j++)
            if (!check(cases[i].good[j], strlen(cases[i].good[j])))
                fail_msg("%s refuses %s", cases[i].format, cases[i].good[j]);
        for (size_t j = 0; j < 8 && cases[i].bad[j]; j++)
            if (check(cases[i].bad[j], strlen(cases[i].bad[j])))
                fail_msg("%s takes %s", cases[i].format, cases[i].bad[j]);
    }
    assert_null(gw_format_find("date-tim", 8));
}

/* What stands behind the text is never read, and a NUL within it is a character. */
static void test_formats_read_their_text_and_nothing_behind_it(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        gw_format_check check = gw_format_find(cases[i].format, strlen(cases[i].format));
        for (size_t j = 0; j < 6 && cases[i].good[j]; j++) {
            const size_t len = strlen(cases[i].good[j]);
            for (size_t cut = 0; cut <= len; cut++) {
                char *exact = test_malloc(cut + 1);
                memcpy(exact, cases[i].good[j], cut);
                exact[cut] = '\0';
                assert_int_equal(check(exact, cut), check(cases[i].good[j], cut));
                if (cut > 0 && strcmp(cases[i].format, "regex") != 0 && !strstr(cases[i].format, "pointer"))
                    assert_false(check(exact, cut + 1)); /* with the NUL */
                test_free(exact);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_formats_take_and_refuse_what_their_rfcs_do),
        cmocka_unit_test(test_formats_read_their_text_and_nothing_behind_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
