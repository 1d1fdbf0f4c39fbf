#include "verify.h"

#include <string.h>

#define SAN_IP_ADDRESS 7 /* RFC 5280 §4.2.1.6: the context-specific tag of iPAddress */

/* Days from 1970-01-01 in the Gregorian calendar: years are counted from March, so that leap days come last. */
static int64_t days_from_civil(int64_t year, int64_t month, int64_t day)
{
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    return y * 365 + y / 4 - y / 100 + y / 400 + day_of_year - 719468;
}

uint64_t trib_mbedtls_time_ms(const mbedtls_x509_time *time)
{
    int64_t days = days_from_civil(time->year, time->mon, time->day);
    int64_t seconds = ((days * 24 + time->hour) * 60 + time->min) * 60 + time->sec;
    return seconds > 0 ? (uint64_t)seconds * 1000 : 0;
}

/* Without leading zeros, which some read as octal. */
static int read_decimal(const char **text, uint8_t *out_value)
{
    unsigned value = 0, digits = 0;
    if ((*text)[0] == '0' && (*text)[1] >= '0' && (*text)[1] <= '9')
        return -1;
    for (; **text >= '0' && **text <= '9'; (*text)++) {
        value = value * 10 + (unsigned)(**text - '0');
        if (++digits > 3 || value > 255)
            return -1;
    }
    *out_value = (uint8_t)value;
    return digits > 0 ? 0 : -1;
}

static bool read_ipv4(const char *text, uint8_t out_address[4])
{
    for (unsigned i = 0; i < 4; i++) {
        if (i > 0 && *text++ != '.')
            return false;
        if (read_decimal(&text, &out_address[i]) != 0)
            return false;
    }
    return *text == '\0';
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* One group of hex digits; returns how many, 0 when there is none, -1 when there are too many. */
static int read_group(const char *text, uint16_t *out_value)
{
    int count = 0;
    unsigned value = 0;
    while (hex_digit(text[count]) >= 0) {
        value = value * 16 + (unsigned)hex_digit(text[count]);
        if (++count > 4)
            return -1;
    }
    *out_value = (uint16_t)value;
    return count;
}

static bool read_ipv6(const char *text, uint8_t out_address[16])
{
    size_t len = 0, gap = SIZE_MAX;
    memset(out_address, 0, 16);
    if (text[0] == ':' && text[1] != ':')
        return false;
    while (*text != '\0') {
        uint16_t group;
        if (text[0] == ':' && text[1] == ':') {
            if (gap != SIZE_MAX)
                return false;
            gap = len;
            text += 2;
            if (*text == ':')
                return false;
            continue;
        }
        if (*text == ':')
            text++;
        int digits = read_group(text, &group);
        if (digits <= 0 || len > 14)
            return false;
        if (text[digits] == '.') {
            if (len > 12 || !read_ipv4(text, out_address + len))
                return false;
            len += 4;
            break;
        }
        out_address[len++] = (uint8_t)(group >> 8);
        out_address[len++] = (uint8_t)group;
        text += digits;
        if (*text != ':' && *text != '\0')
            return false;
        if (text[0] == ':' && text[1] == '\0')
            return false;
    }
    if (gap == SIZE_MAX)
        return len == 16;
    if (len > 14)
        return false;
    memmove(out_address + 16 - (len - gap), out_address + gap, len - gap);
    memset(out_address + gap, 0, 16 - len);
    return true;
}

uint8_t trib_mbedtls_read_address(const char *text, uint8_t out_address[16])
{
    if (read_ipv4(text, out_address))
        return 4;
    return read_ipv6(text, out_address) ? 16 : 0;
}

static bool has_address(const mbedtls_x509_crt *crt, const uint8_t *address, size_t len)
{
    for (const mbedtls_x509_sequence *san = &crt->subject_alt_names; san != NULL; san = san->next) {
        if ((san->buf.tag & MBEDTLS_ASN1_TAG_VALUE_MASK) == SAN_IP_ADDRESS && san->buf.len == len &&
            memcmp(san->buf.p, address, len) == 0)
            return true;
    }
    return false;
}

static uint32_t judge_dates(const struct trib_mbedtls *tls, const mbedtls_x509_crt *crt)
{
    uint64_t utc_ms = 0, floor_ms = tls->config.time_floor_ms;
    if (floor_ms < TRIB_MBEDTLS_TIME_FLOOR_MS)
        floor_ms = TRIB_MBEDTLS_TIME_FLOOR_MS;
    uint64_t from_ms = trib_mbedtls_time_ms(&crt->valid_from), to_ms = trib_mbedtls_time_ms(&crt->valid_to);
    if (tls->config.utc_ms == NULL || !tls->config.utc_ms(tls->config.utc_context, &utc_ms))
        return to_ms < floor_ms ? MBEDTLS_X509_BADCERT_EXPIRED : 0;
    uint32_t flags = to_ms < utc_ms ? MBEDTLS_X509_BADCERT_EXPIRED : 0;
    return flags | (from_ms > utc_ms ? MBEDTLS_X509_BADCERT_FUTURE : 0);
}

int trib_mbedtls_verify(void *context, mbedtls_x509_crt *crt, int depth, uint32_t *flags)
{
    const struct trib_mbedtls *tls = context;
    /* mbedTLS asked the system's clock, if it was built with one; nobody says that this clock is right. */
    *flags &= ~(uint32_t)(MBEDTLS_X509_BADCERT_EXPIRED | MBEDTLS_X509_BADCERT_FUTURE);
    *flags |= judge_dates(tls, crt);
    if (depth == 0 && tls->address_bytes != 0 && !has_address(crt, tls->address, tls->address_bytes))
        *flags |= MBEDTLS_X509_BADCERT_CN_MISMATCH;
    return 0;
}
