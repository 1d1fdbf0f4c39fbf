/* Records a session of today's SDK against today's gateway for tests/golden: `record_session > FILE`. */
#include <stdio.h>

#include "scenario/golden_session.h"
#include "tributary/tributary.h"

static void write_message(void *context, bool up, const uint8_t *message, size_t len)
{
    (void)context;
    printf("%s ", up ? "device" : "gateway");
    for (size_t i = 0; i < len; i++)
        printf("%02x", message[i]);
    printf("\n");
}

static void write_stored(void *context, const char *json)
{
    (void)context;
    printf("stored %s\n", json);
}

int main(void)
{
    struct fake_random dice = {20261121};
    struct fake_gateway gateway;
    printf("# SDK %s, protocol version %d; made by tests/scenario/record_session.c\n", TRIBUTARY_VERSION,
           TRIB_WIRE_VERSION);
    fake_gateway_start(&gateway, golden_folder_make(), &dice);
    gateway.tap = write_message;
    golden_play(&gateway);
    golden_stored(&gateway, write_stored, NULL);
    fake_gateway_stop(&gateway);
    golden_folder_remove();
    return 0;
}
