/*
 * How much of a turn of the event loop goes to those who are not served yet. A handshake takes a core for most of a
 * millisecond, and a crowd's are all ready at once; devices that are online would wait for all of them. So in each turn
 * newcomers get a quarter of a millisecond, at least one step of one handshake; who finds it used up is asked again in the
 * next turn, first come, first served. Pure: a clock is given.
 */
#ifndef GW_INGEST_PACE_H
#define GW_INGEST_PACE_H

#include <stdbool.h>
#include <stdint.h>

#define GW_PACE_US 250u
/* While some wait for their next step, one new connection is let in in so many turns: begun ones are finished first. */
#define GW_PACE_TURNS 8u

struct gw_pace {
    uint64_t (*now_us)(void); /* monotonic */
    uint64_t until_us;        /* end of this turn's share; 0: nobody has begun in it */
    const void *who;          /* whose step is under way */
    bool held, held_before;   /* somebody was put off: in this turn, in the one before */
    unsigned passed_over;     /* turns in a row in which nobody was let in for that */
};

/* now_us is kept. */
void gw_pace_init(struct gw_pace *pace, uint64_t (*now_us)(void));
/* A new turn of the loop begins. */
void gw_pace_turn(struct gw_pace *pace);
/* Whether who may go on in this turn. Once it may, it may until another one does. */
bool gw_pace_step(struct gw_pace *pace, const void *who);
/* Whether one more connection may be let in in this turn. After a no, ask in the next turn. */
bool gw_pace_admits(struct gw_pace *pace);

#endif
