/* Credit, and the window of a device: what a batch gave back is granted at once, unless the device is too fast or the gateway too full. */
#include "session/session_internal.h"

bool gw_session_grant(struct gw_session *session)
{
    const struct gw_session_edge *edge = session->edge;
    struct trib_wire_credit *owed = &session->owed;
    if (edge->held && edge->held(session->context))
        return false;
    uint64_t events =
        edge->allow && owed->events > 0 ? edge->allow(session->context, owed->events) : owed->events;
    if (events == 0 && owed->bytes == 0)
        return false;
    session->granted.events += events;
    session->granted.bytes += owed->bytes;
    owed->events -= events;
    owed->bytes = 0;
    return true;
}

/*
 * Bytes to give for those that came back. A window begins small, so that idle devices leave the memory to busy ones: it
 * doubles while more than half of it is in use, and goes back when others need it.
 */
static uint64_t fit_window(struct gw_session *session, uint64_t bytes)
{
    const struct gw_session_edge *edge = session->edge;
    if (!edge->widen)
        return bytes;
    uint32_t more = session->rules->credit_bytes - session->reserved_bytes;
    uint64_t back = session->reserved_bytes - session->first_bytes;
    back = back < bytes ? back : bytes;
    if (back > 0 && edge->narrow(session->context, (uint32_t)back)) {
        session->reserved_bytes -= (uint32_t)back;
        return bytes - back;
    }
    /* What is owed is not in use: a device that is held back would else grow with each batch that comes back. */
    uint64_t unused = session->granted.bytes - session->used.bytes + session->owed.bytes;
    if (more == 0 || unused >= session->reserved_bytes / 2)
        return bytes;
    more = edge->widen(session->context, more < session->reserved_bytes ? more : session->reserved_bytes);
    session->reserved_bytes += more;
    return bytes + more;
}

void gw_session_release(struct gw_session *session, uint64_t events, uint64_t bytes)
{
    session->owed.events += events;
    session->owed.bytes += fit_window(session, bytes);
    (void)gw_session_grant(session);
}

void gw_session_grant_late(struct gw_session *session, uint64_t now_ms)
{
    if (session->owed.events == 0 && session->owed.bytes == 0) {
        session->held_since_ms = 0;
        return;
    }
    if (gw_session_grant(session)) {
        uint8_t message[64];
        size_t len;
        if (trib_wire_credit_encode(&session->granted, message, sizeof message, &len) == 0)
            gw_session_send(session, message, len);
    }
    bool held = session->edge->held && session->edge->held(session->context);
    if (!held) {
        session->held_since_ms = 0;
    } else if (session->held_since_ms == 0) {
        session->held_since_ms = now_ms;
    } else if (session->rules->hold_ms > 0 && now_ms - session->held_since_ms >= session->rules->hold_ms) {
        gw_session_bye(session, TRIB_BYE_UNAVAILABLE, SESSION_RETRY_HELD_MS,
                       "the gateway holds as much as it may; come back later");
    }
}
