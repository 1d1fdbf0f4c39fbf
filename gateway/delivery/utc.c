#include "delivery/utc.h"

#define DAY_MS 86400000u

static void digits(char *out, unsigned count, unsigned value)
{
    while (count > 0) {
        out[--count] = (char)('0' + value % 10);
        value /= 10;
    }
}

/* Days since 1970-01-01 to the Gregorian date, by eras of 400 years that begin on 1 March. */
static void civil_date(unsigned days, unsigned *year, unsigned *month, unsigned *day)
{
    const unsigned z = days + 719468; /* days since 0000-03-01 */
    const unsigned era = z / 146097;
    const unsigned day_of_era = z % 146097;
    const unsigned year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    const unsigned day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    const unsigned shifted = (5 * day_of_year + 2) / 153; /* month, from March = 0 */
    *day = day_of_year - (153 * shifted + 2) / 5 + 1;
    *month = shifted < 10 ? shifted + 3 : shifted - 9;
    *year = year_of_era + era * 400 + (*month <= 2);
}

void gw_utc_date(uint64_t utc_ms, char out[GW_UTC_DATE_BYTES])
{
    if (utc_ms > GW_UTC_MS_MAX)
        utc_ms = GW_UTC_MS_MAX;
    unsigned year, month, day;
    civil_date((unsigned)(utc_ms / DAY_MS), &year, &month, &day);
    digits(out, 4, year);
    out[4] = '-';
    digits(out + 5, 2, month);
    out[7] = '-';
    digits(out + 8, 2, day);
}

void gw_utc_text(uint64_t utc_ms, char out[GW_UTC_TEXT_BYTES])
{
    if (utc_ms > GW_UTC_MS_MAX)
        utc_ms = GW_UTC_MS_MAX;
    gw_utc_date(utc_ms, out);
    const unsigned ms = (unsigned)(utc_ms % DAY_MS);
    out[10] = 'T';
    digits(out + 11, 2, ms / 3600000);
    out[13] = ':';
    digits(out + 14, 2, ms / 60000 % 60);
    out[16] = ':';
    digits(out + 17, 2, ms / 1000 % 60);
    out[19] = '.';
    digits(out + 20, 3, ms % 1000);
    out[23] = 'Z';
}
