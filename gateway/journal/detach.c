#include "journal/detach.h"

bool gw_detach_look(struct gw_detach *detach, uint64_t cursor, uint64_t end, uint64_t now_ms)
{
    const bool moved = detach->looked && cursor != detach->cursor;
    const bool back = moved && detach->detached;
    if (!detach->looked || moved || cursor >= end)
        detach->since_ms = now_ms;
    if (moved)
        detach->detached = false;
    detach->cursor = cursor;
    detach->looked = true;
    return back;
}

bool gw_detach_due(const struct gw_detach *detach, uint64_t now_ms)
{
    if (detach->after_ms == 0 || !detach->looked)
        return false;
    return detach->detached || now_ms - detach->since_ms >= detach->after_ms;
}
