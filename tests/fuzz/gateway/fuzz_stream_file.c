/* Any bytes as a file of the embedded stream: each step ends, moves on, and stays within the file. */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "sinks/stream_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gw_stream_file file;
    struct gw_stream_record record;
    gw_stream_file_init(&file);
    file.fd = memfd_create("stream", MFD_CLOEXEC);
    if (file.fd < 0 || write(file.fd, data, size) != (ssize_t)size)
        abort();
    for (;;) {
        const uint64_t before = gw_stream_file_position(&file);
        int rc = gw_stream_file_next(&file, &record, NULL);
        if (rc == 1 && gw_stream_file_position(&file) < before + GW_STREAM_HEADER_BYTES)
            abort();
        if (rc == 1)
            continue;
        if (rc < 0 && rc != GW_EDAMAGED)
            abort();
        if (gw_stream_file_position(&file) != before)
            abort();
        rc = gw_stream_file_resync(&file, NULL);
        if (rc < 0)
            abort();
        if (rc == 0)
            break;
        if (gw_stream_file_position(&file) <= before || gw_stream_file_position(&file) > size)
            abort();
    }
    gw_stream_file_close(&file);
    return 0;
}
