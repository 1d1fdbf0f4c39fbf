/* Any bytes into every decoder; what is taken must be written and read again to the same bytes. */
#include <stdlib.h>
#include <string.h>

#include "wire/message.h"

#define CHECK(kind)                                                                                          \
    static void check_##kind(const uint8_t *data, size_t size)                                               \
    {                                                                                                        \
        static uint8_t first[1 << 16], second[1 << 16];                                                      \
        struct trib_wire_##kind m;                                                                           \
        size_t first_len, second_len;                                                                        \
        if (trib_wire_##kind##_decode(data, size, &m))                                                       \
            return;                                                                                          \
        if (trib_wire_##kind##_encode(&m, first, sizeof first, &first_len) ||                                \
            trib_wire_##kind##_decode(first, first_len, &m) ||                                               \
            trib_wire_##kind##_encode(&m, second, sizeof second, &second_len) || first_len != second_len ||  \
            memcmp(first, second, first_len) != 0)                                                           \
            abort();                                                                                         \
    }
CHECK(hello)
CHECK(welcome)
CHECK(ack)
CHECK(nack)
CHECK(credit)
CHECK(bye)
CHECK(config)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t type;
    size_t body;

    if (size > 1 << 15)
        return 0;
    if (trib_wire_open(data, size, &type, &body) == 0 && body >= size)
        abort();
    check_hello(data, size);
    check_welcome(data, size);
    check_ack(data, size);
    check_nack(data, size);
    check_credit(data, size);
    check_bye(data, size);
    check_config(data, size);
    return 0;
}
