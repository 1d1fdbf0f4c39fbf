#include "session/json_fields.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "wire/message.h"

#define EXACT_MAX 9007199254740992.0 /* 2^53: above it a double no longer holds each integer */
#define DATA_KEYS_MAX 16

bool gw_json_uint(const cJSON *value, uint64_t *out)
{
    if (cJSON_IsNumber(value)) {
        double number = value->valuedouble;
        if (!(number >= 0 && number <= EXACT_MAX) || (double)(uint64_t)number != number)
            return false;
        *out = (uint64_t)number;
        return true;
    }
    if (!cJSON_IsString(value) || !value->valuestring[0])
        return false;
    uint64_t number = 0;
    for (const char *p = value->valuestring; *p; p++) {
        unsigned digit = (unsigned)(*p - '0');
        if (digit > 9 || number > (UINT64_MAX - digit) / 10)
            return false;
        number = number * 10 + digit;
    }
    *out = number;
    return true;
}

bool gw_json_id(const cJSON *value, uint64_t *out)
{
    const char *text = cJSON_IsString(value) ? value->valuestring : "";
    size_t digits = strspn(text, "0123456789abcdefABCDEF");

    return digits >= 1 && digits <= 16 && !text[digits] && sscanf(text, "%" SCNx64, out) == 1;
}

static bool put_data_value(struct trib_cbor_writer *w, const cJSON *value)
{
    if (cJSON_IsString(value)) {
        trib_cbor_put_text(w, value->valuestring, strlen(value->valuestring));
    } else if (cJSON_IsBool(value)) {
        trib_cbor_put_bool(w, cJSON_IsTrue(value));
    } else if (cJSON_IsNull(value)) {
        trib_cbor_put_null(w);
    } else if (cJSON_IsNumber(value)) {
        double number = value->valuedouble;
        if (!(number >= -EXACT_MAX && number <= EXACT_MAX) || (double)(int64_t)number != number)
            return false;
        trib_cbor_put_int(w, (int64_t)number);
    } else {
        return false;
    }
    return true;
}

/* A custom event's attributes: a flat object of texts, whole numbers, booleans and nulls. */
static bool put_data(struct trib_cbor_writer *w, const cJSON *object)
{
    const cJSON *value;
    int count = cJSON_IsObject(object) ? cJSON_GetArraySize(object) : -1;

    if (count < 0 || count > DATA_KEYS_MAX)
        return false;
    trib_cbor_put_map(w, (uint64_t)count);
    cJSON_ArrayForEach(value, object)
    {
        trib_cbor_put_text(w, value->string, strlen(value->string));
        if (!put_data_value(w, value))
            return false;
    }
    return true;
}

static bool put_enum(struct trib_cbor_writer *w, unsigned id, const cJSON *value)
{
    uint64_t number;

    if (cJSON_IsString(value)) {
        int named = trib_enum_by_name(id, value->valuestring, strlen(value->valuestring));
        if (named < 0)
            return false;
        number = (uint64_t)named;
    } else if (!gw_json_uint(value, &number)) {
        return false;
    }
    trib_cbor_put_uint(w, number);
    return true;
}

static bool put_int(struct trib_cbor_writer *w, const cJSON *value)
{
    double number = cJSON_IsNumber(value) ? value->valuedouble : 0.5;

    if (!(number >= -EXACT_MAX && number <= EXACT_MAX) || (double)(int64_t)number != number)
        return false;
    trib_cbor_put_int(w, (int64_t)number);
    return true;
}

static bool put_uint_or_id(struct trib_cbor_writer *w, unsigned id, const cJSON *value)
{
    uint64_t number;

    /* A stream's id is written as one. */
    if (!(id == TRIB_FIELD_PREVIOUS ? gw_json_id(value, &number) : gw_json_uint(value, &number)))
        return false;
    trib_cbor_put_uint(w, number);
    return true;
}

/* Writes the value, or nothing and false where the field cannot hold it. */
static bool put_value(struct trib_cbor_writer *w, unsigned id, const cJSON *value)
{
    switch (trib_fields[id].type) {
    case TRIB_TYPE_UINT:
        return put_uint_or_id(w, id, value);
    case TRIB_TYPE_INT:
        return put_int(w, value);
    case TRIB_TYPE_ENUM:
        return put_enum(w, id, value);
    case TRIB_TYPE_BOOL:
        if (cJSON_IsBool(value))
            trib_cbor_put_bool(w, cJSON_IsTrue(value));
        return cJSON_IsBool(value);
    case TRIB_TYPE_TEXT:
        if (cJSON_IsString(value))
            trib_cbor_put_text(w, value->valuestring, strlen(value->valuestring));
        return cJSON_IsString(value);
    case TRIB_TYPE_MAP:
        return put_data(w, value);
    default:
        return false;
    }
}

void gw_json_fields(struct trib_cbor_writer *w, const cJSON *fields)
{
    const cJSON *value;

    trib_cbor_put_map_open(w);
    cJSON_ArrayForEach(value, fields)
    {
        int id = trib_field_by_name(value->string, strlen(value->string));
        if (id < 0) {
            trib_cbor_put_text(w, value->string, strlen(value->string));
            trib_cbor_put_null(w);
            continue;
        }
        trib_cbor_put_uint(w, (uint64_t)id);
        struct trib_cbor_writer before = *w;
        if (!put_value(w, (unsigned)id, value)) {
            *w = before;
            trib_cbor_put_null(w); /* rejected as a wrong type */
        }
    }
    trib_cbor_put_break(w);
}
