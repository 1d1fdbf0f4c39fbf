/*
 * For Frama-C's Eva: the record codec on a medium that answers with any bytes. No read outside a buffer, no overflow, no
 * shift too far, whatever the medium holds and wherever a record is looked for. Eva does not relate how much was read to
 * how much is looked at later, so locals count as initialised: that they are is valgrind's to show. tools/proofs/codec
 * runs it.
 */
#include "__fc_builtin.h"

#include "journal/format.h"

static int any_read(void *context, uint32_t address, void *out, uint32_t length)
{
    uint8_t *to = out;
    (void)context;
    (void)address;
    if (Frama_C_interval(0, 9) == 9)
        return -1;
    Frama_C_make_unknown((char *)to, length);
    return 0;
}

void prove_records(void)
{
    struct trib_storage s = {.sector_count = 8, .read = any_read};
    struct trib_raw_record raw;
    uint32_t offset = Frama_C_unsigned_int_interval(0, 131072);
    uint32_t limit = Frama_C_unsigned_int_interval(0, 131072);
    s.sector_bytes = Frama_C_unsigned_int_interval(256, 131072);
    s.program_bytes = 1;
    (void)trib_format_record_read(&s, Frama_C_unsigned_int_interval(0, 7), offset, limit,
                                  Frama_C_unsigned_int_interval(0, 0xFFFFFFFFu), &raw);
}

void prove_headers(void)
{
    struct trib_storage s = {.sector_count = 8, .program_bytes = 1, .read = any_read};
    struct trib_ring_header header;
    s.sector_bytes = Frama_C_unsigned_int_interval(256, 131072);
    (void)trib_format_header_read(&s, Frama_C_unsigned_int_interval(0, 7), &header);
}

/* From every place in strings of every length up to two of the longest number. */
void prove_numbers(void)
{
    uint8_t bytes[20];
    Frama_C_make_unknown((char *)bytes, sizeof bytes);
    for (uint32_t length = 0; length <= sizeof bytes; length++)
        for (uint32_t pos = 0; pos <= length; pos++)
            for (unsigned which = 0; which < 4; which++) {
                struct trib_bytes b = {bytes, length, pos, false};
                if (which == 0)
                    (void)trib_bytes_varint(&b);
                else if (which == 1)
                    (void)trib_bytes_u32(&b);
                else if (which == 2)
                    (void)trib_bytes_u64(&b);
                else
                    (void)trib_bytes_u8(&b);
                //@ assert never_beyond: b.pos <= length;
            }
}

int main(void)
{
    prove_records();
    prove_headers();
    prove_numbers();
    return 0;
}
