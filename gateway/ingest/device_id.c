#include "ingest/device_id.h"

#include <string.h>

#include "wire/message.h"

bool gw_device_id_valid(const char *id, size_t len)
{
    if (len == 0 || len > TRIB_WIRE_DEVICE_BYTES_MAX)
        return false;
    for (size_t i = 0; i < len; i++) {
        char c = id[i];
        bool alphanumeric = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!alphanumeric && (c == 0 || !strchr("._-:", c)))
            return false;
    }
    return true;
}
