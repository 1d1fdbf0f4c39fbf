/*
 * ring_dump FILE SECTORS: boots the SDK on the two lanes of a flash image (sectors of 4 KiB, the vital lane's units of 1
 * byte and the routine lane's of 8), lets a gateway take all that waits, and prints the number `n` of each custom event.
 */
#include "support/fake_device.h"

#define SECTOR 4096u

static const char *image;
static uint32_t sectors;

static void load(struct fake_device *d, unsigned lane, FILE *file)
{
    assert_int_equal(fseek(file, (long)(lane * sectors * SECTOR), SEEK_SET), 0);
    assert_int_equal(fread(d->flash[lane], SECTOR, sectors, file), sectors);
}

static int64_t number_of(const struct fake_event *e)
{
    struct trib_cbor_reader r;
    size_t len;
    trib_cbor_reader_init(&r, e->fields, e->fields_len);
    struct trib_cbor_container map = trib_cbor_get_map(&r);
    while (trib_cbor_next(&r, &map)) {
        if (trib_cbor_get_uint(&r) != TRIB_FIELD_DATA) {
            trib_cbor_skip(&r);
            continue;
        }
        (void)trib_cbor_get_map(&r);
        (void)trib_cbor_get_text(&r, &len);
        return trib_cbor_get_int(&r);
    }
    return -1;
}

static void dump(void **state)
{
    static struct fake_device d;
    static struct fake_gateway g;
    (void)state;
    FILE *file = fopen(image, "rb");
    assert_non_null(file);
    fake_gateway_init(&g);
    fake_device_init(&d, SECTOR, sectors, 8);
    for (unsigned lane = 0; lane < TRIB_LANE_COUNT; lane++)
        load(&d, lane, file);
    d.ram[TRIB_LANE_VITAL].program_bytes = 1;
    d.ram[TRIB_LANE_VITAL].written = NULL;
    d.config.storage[TRIB_LANE_VITAL] = trib_storage_ram(&d.ram[TRIB_LANE_VITAL]);
    fclose(file);
    assert_int_equal(fake_device_boot(&d), 0);
    fake_sync(&g, &d);
    for (size_t i = 0; i < g.event_count; i++)
        if (g.events[i].type == TRIB_EVENT_CUSTOM)
            printf("n %lld\n", (long long)number_of(&g.events[i]));
    uint64_t dropped = 0;
    for (unsigned class = 0; class < 3; class ++)
        for (unsigned reason = 0; reason < 5; reason++)
            dropped += g.dropped[class][reason];
    printf("dropped %llu\n", (unsigned long long)dropped);
    fake_device_free(&d);
    fake_gateway_free(&g);
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: ring_dump FILE SECTORS\n");
        return 2;
    }
    image = argv[1];
    sectors = (uint32_t)atoi(argv[2]);
    const struct CMUnitTest tests[] = {cmocka_unit_test(dump)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
