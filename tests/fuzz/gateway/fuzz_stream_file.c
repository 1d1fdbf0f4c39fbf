/* Any bytes as a file of the embedded stream: each step ends, moves on, and stays within the file. */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "sinks/stream_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* One file and one buffer for all runs: to make them takes longer than a run. */
    static int memory = -1;
    static uint8_t *buffer;
    static size_t capacity;
    struct gw_stream_file file;
    struct gw_stream_record record;
    if (memory < 0)
        memory = memfd_create("stream", MFD_CLOEXEC);
    gw_stream_file_init(&file);
    file.fd = memory;
    file.buffer = buffer;
    file.capacity = capacity;
    if (file.fd < 0 || pwrite(file.fd, data, size, 0) != (ssize_t)size ||
        ftruncate(file.fd, (off_t)size) != 0)
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
    buffer = file.buffer;
    capacity = file.capacity;
    return 0;
}
