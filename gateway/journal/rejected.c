#include "journal/rejected.h"

#include "base/crc32c.h"
#include "journal/bytes.h"

/* crc 4 (over the rest), version 1, device length 1, kind 1, reserved 1, code 4, stream 8, seq 8, received 8, device,
 * sealed */
#define FIXED_BYTES 36u
#define RECORD_VERSION 1u

enum record_kind { KIND_EVENT = 0, KIND_SETTLES = 1 };

size_t gw_rejected_bytes(size_t device_len, size_t sealed_len)
{
    return FIXED_BYTES + device_len + sealed_len;
}

void gw_rejected_encode(const struct gw_rejected *record, uint8_t *buf)
{
    buf[4] = RECORD_VERSION;
    buf[5] = (uint8_t)record->device_len;
    buf[6] = record->settles ? KIND_SETTLES : KIND_EVENT;
    buf[7] = 0;
    gw_put32(buf + 8, record->code);
    gw_put64(buf + 12, record->stream);
    gw_put64(buf + 20, record->seq);
    gw_put64(buf + 28, record->received_ms);
    memcpy(buf + FIXED_BYTES, record->device, record->device_len);
    uint8_t *content = buf + FIXED_BYTES + record->device_len;
    if (record->settles) {
        gw_put64(content, record->place.segment);
        gw_put64(content + 8, record->place.number);
    } else {
        memcpy(content, record->sealed, record->sealed_len);
    }
    size_t len = gw_rejected_bytes(record->device_len, record->sealed_len);
    gw_put32(buf, gw_crc32c(0, buf + 4, len - 4));
}

int gw_rejected_decode(const uint8_t *data, size_t len, struct gw_rejected *out)
{
    if (len < FIXED_BYTES || gw_get32(data) != gw_crc32c(0, data + 4, len - 4) || data[4] != RECORD_VERSION ||
        len - FIXED_BYTES < data[5])
        return GW_EDAMAGED;
    *out = (struct gw_rejected){
        .device = (const char *)data + FIXED_BYTES,
        .device_len = data[5],
        .code = gw_get32(data + 8),
        .stream = gw_get64(data + 12),
        .seq = gw_get64(data + 20),
        .received_ms = gw_get64(data + 28),
        .sealed = data + FIXED_BYTES + data[5],
        .sealed_len = len - FIXED_BYTES - data[5],
    };
    if (data[6] == KIND_EVENT)
        return 0;
    if (data[6] != KIND_SETTLES || out->sealed_len != GW_REJECTED_PLACE_BYTES)
        return GW_EDAMAGED;
    out->settles = true;
    out->place = (struct gw_journal_place){gw_get64(out->sealed), gw_get64(out->sealed + 8)};
    return 0;
}
