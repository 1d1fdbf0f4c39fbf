#include "journal/block.h"

#include <assert.h>

#include "base/crc32c.h"
#include "journal/bytes.h"

/* Where the fields of the header stand. The CRC covers everything behind itself. */
enum {
    AT_MAGIC = 0,
    AT_CRC = 4,
    AT_LENGTH = 8,
    AT_ENTRY_COUNT = 12,
    AT_EPOCH = 16,
    AT_FIRST_OFFSET = 24,
    AT_TXN = 32,
    AT_ROW_COUNT = 40,
    AT_QUARANTINE = 44,
    AT_ROWS_AT = 48,
    AT_RESERVED = 52,
};

#define ROW_FIXED_BYTES (1u + 8u + 8u + 4u + 8u + 8u)

size_t gw_block_entry_bytes(size_t entry_len)
{
    return 4 + entry_len;
}

size_t gw_block_row_bytes(size_t device_len)
{
    return ROW_FIXED_BYTES + device_len;
}

void gw_block_open(struct gw_block_writer *w, uint8_t *buf, size_t cap)
{
    assert(cap >= GW_BLOCK_HEADER_BYTES);
    *w = (struct gw_block_writer){
        .buf = buf, .cap = cap, .len = GW_BLOCK_HEADER_BYTES, .rows_at = GW_BLOCK_HEADER_BYTES};
}

void gw_block_add_entry(struct gw_block_writer *w, const uint8_t *data, size_t len)
{
    assert(w->row_count == 0 && w->cap - w->len >= gw_block_entry_bytes(len));
    gw_put32(w->buf + w->len, (uint32_t)len);
    memcpy(w->buf + w->len + 4, data, len);
    w->len += gw_block_entry_bytes(len);
    w->rows_at = (uint32_t)w->len;
    w->entry_count++;
}

void gw_block_add_row(struct gw_block_writer *w, const struct gw_block_row *row)
{
    assert(row->device_len <= GW_DEVICE_BYTES_MAX && w->cap - w->len >= gw_block_row_bytes(row->device_len));
    uint8_t *p = w->buf + w->len;
    *p++ = (uint8_t)row->device_len;
    memcpy(p, row->device, row->device_len);
    p += row->device_len;
    gw_put64(p, row->stream);
    gw_put64(p + 8, row->committed);
    gw_put32(p + 16, row->crc);
    gw_put64(p + 20, row->generation);
    gw_put64(p + 28, row->touched_ms);
    w->len += gw_block_row_bytes(row->device_len);
    w->row_count++;
}

void gw_block_close(struct gw_block_writer *w, const struct gw_block_head *head)
{
    assert(w->len == w->cap);
    uint8_t *p = w->buf;
    gw_put32(p + AT_MAGIC, GW_BLOCK_MAGIC);
    gw_put32(p + AT_LENGTH, (uint32_t)w->len);
    gw_put32(p + AT_ENTRY_COUNT, w->entry_count);
    gw_put64(p + AT_EPOCH, head->epoch);
    gw_put64(p + AT_FIRST_OFFSET, head->first_offset);
    gw_put64(p + AT_TXN, head->txn);
    gw_put32(p + AT_ROW_COUNT, w->row_count);
    gw_put32(p + AT_QUARANTINE, head->quarantine_total);
    gw_put32(p + AT_ROWS_AT, w->rows_at);
    gw_put32(p + AT_RESERVED, 0);
    gw_put32(p + AT_CRC, gw_crc32c(0, p + AT_LENGTH, w->len - AT_LENGTH));
}

int gw_block_read(struct gw_block_reader *r, const uint8_t *data, size_t len)
{
    if (len < GW_BLOCK_HEADER_BYTES || gw_get32(data + AT_MAGIC) != GW_BLOCK_MAGIC ||
        gw_get32(data + AT_LENGTH) != len)
        return GW_EDAMAGED;
    if (gw_get32(data + AT_CRC) != gw_crc32c(0, data + AT_LENGTH, len - AT_LENGTH))
        return GW_EDAMAGED;
    uint32_t rows_at = gw_get32(data + AT_ROWS_AT);
    if (rows_at < GW_BLOCK_HEADER_BYTES || rows_at > len)
        return GW_EDAMAGED;
    *r = (struct gw_block_reader){
        .head = {.epoch = gw_get64(data + AT_EPOCH),
                 .first_offset = gw_get64(data + AT_FIRST_OFFSET),
                 .txn = gw_get64(data + AT_TXN),
                 .entry_count = gw_get32(data + AT_ENTRY_COUNT),
                 .row_count = gw_get32(data + AT_ROW_COUNT),
                 .quarantine_total = gw_get32(data + AT_QUARANTINE)},
        .data = data,
        .len = len,
        .entry_at = GW_BLOCK_HEADER_BYTES,
        .row_at = rows_at,
        .rows_at = rows_at,
    };
    return 0;
}

int gw_block_next_entry(struct gw_block_reader *r, const uint8_t **out_data, size_t *out_len)
{
    size_t left = r->rows_at - r->entry_at;
    if (left == 0)
        return 0;
    if (left < 4)
        return GW_EDAMAGED;
    size_t entry_len = gw_get32(r->data + r->entry_at);
    if (entry_len > left - 4)
        return GW_EDAMAGED;
    *out_data = r->data + r->entry_at + 4;
    *out_len = entry_len;
    r->entry_at += gw_block_entry_bytes(entry_len);
    return 1;
}

int gw_block_next_row(struct gw_block_reader *r, struct gw_block_row *out)
{
    size_t left = r->len - r->row_at;
    if (left == 0)
        return 0;
    const uint8_t *p = r->data + r->row_at;
    if (left < ROW_FIXED_BYTES || left - ROW_FIXED_BYTES < p[0])
        return GW_EDAMAGED;
    size_t device_len = p[0];
    const uint8_t *fixed = p + 1 + device_len;
    *out = (struct gw_block_row){
        .device = (const char *)(p + 1),
        .device_len = device_len,
        .stream = gw_get64(fixed),
        .committed = gw_get64(fixed + 8),
        .crc = gw_get32(fixed + 16),
        .generation = gw_get64(fixed + 20),
        .touched_ms = gw_get64(fixed + 28),
    };
    r->row_at += gw_block_row_bytes(device_len);
    return 1;
}
