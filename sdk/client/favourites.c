/* Favourites in a vital lane that is full: room is made of operations that later ones supersede. Linked only by apps that
 * record favourites. */
#include "client/client_internal.h"

int trib_client_compact(struct trib_client *client)
{
    struct trib_lane_state *lane = &client->lanes[TRIB_LANE_VITAL];
    /* The newest state, and contexts whose ends are still to come, must not be looked for in a sector that goes. */
    if (client->state_due || client->ends_due)
        return 0;
    enum trib_compaction_verdict verdict =
        trib_ring_compact(&lane->ring, &client->compaction, lane->send_pos);
    if (verdict == TRIB_COMPACT_NOTHING)
        return 0;
    if (verdict == TRIB_COMPACT_OPEN) {
        client->state_due = true;
        if (trib_lane_open(lane, NULL, TRIB_RING_USE_SPARE) < 0)
            client->compaction.phase = TRIB_COMPACTION_RESTS;
    }
    lane->cursor_valid = lane->cursor_valid && verdict != TRIB_COMPACT_FREED;
    trib_client_budget(client);
    return 1;
}
