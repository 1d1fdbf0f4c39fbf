/*
 * The text subprotocol tributary.v1.json (docs/protocol.md): JSON from the client becomes the same CBOR message that
 * a device would have sent, and the gateway's messages become JSON. So the session sees one protocol.
 * Pure functions; cJSON allocates while one runs (about 70 bytes a value, so bounded by the size of a message).
 */
#ifndef GW_SESSION_JSON_CODEC_H
#define GW_SESSION_JSON_CODEC_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* Room that gw_json_to_cbor never exceeds for a text of len bytes (half of it is scratch). */
#define GW_JSON_CBOR_BYTES(len) (2 * (len) + 256)

/*
 * One JSON object (UTF-8, not terminated) to a CBOR message. HELLO and BATCH are converted; another type becomes a
 * message of a type nobody uses, which the session ignores as it would in CBOR. An event of an unknown type becomes
 * TRIB_WIRE_EVENT_TYPE_NEVER, an unknown field a field with its name for a key, a value that its field cannot hold
 * null: so the event is rejected (or the field counted as undeclared), and its neighbours are not harmed.
 * 0; GW_EPROTOCOL: *error says which place in the text is wrong; GW_EFULL: cap is too small; GW_ENOMEM.
 */
GW_MUST_CHECK int gw_json_to_cbor(const char *text, size_t len, uint8_t *buf, size_t cap, size_t *out_len,
                                  struct gw_error *error);

/*
 * A message of the gateway (WELCOME, ACK, NACK, CONFIG, CREDIT, BYE) to one JSON object without line end.
 * 0; GW_EFULL; GW_EPROTOCOL: not such a message.
 */
GW_MUST_CHECK int gw_cbor_to_json(const uint8_t *message, size_t len, char *buf, size_t cap, size_t *out_len);

#endif
