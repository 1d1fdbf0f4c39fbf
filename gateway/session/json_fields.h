/* An event's fields in the text subprotocol (json_codec.h): JSON values to CBOR ones, as the vocabulary types them. */
#ifndef GW_SESSION_JSON_FIELDS_H
#define GW_SESSION_JSON_FIELDS_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>

#include "wire/cbor.h"

/* A whole number from a number (up to 2^53) or a decimal string. False: it is none, or value is NULL. */
bool gw_json_uint(const cJSON *value, uint64_t *out);
/* A 64-bit id: 1 to 16 hex digits in a string. False: it is none, or value is NULL. */
bool gw_json_id(const cJSON *value, uint64_t *out);

/*
 * Writes an object's members as an event's map of fields. An unknown field has its name for a key, and a value that its field
 * cannot hold is null: the gateway's rules for both apply then as if a device had sent them. fields NULL: an empty map.
 */
void gw_json_fields(struct trib_cbor_writer *w, const cJSON *fields);

#endif
