/*
 * What a device may leave out of the SDK, to save code. All is there unless the compiler is told otherwise, by
 * -DTRIB_WITHOUT_… or the CMake option of that name, for the SDK and for the app alike: sizes depend on it. What a device
 * that leaves something out does instead stands beside each; docs/sdk.md says what each saves.
 *
 * No option is needed for what an app does not call: the linker (--gc-sections) leaves out favourites, custom events,
 * consent, erasure, user ids and the playback tracker by itself.
 */
#ifndef TRIBUTARY_OPTIONS_H
#define TRIBUTARY_OPTIONS_H

/* TRIB_WITHOUT_PLAYBACK: trib_session_start returns TRIB_EINVAL, and what a power cut left open, of a version that had
 * sessions, gets no session.end. */
#ifdef TRIB_WITHOUT_PLAYBACK
#define TRIB_HAS_PLAYBACK 0
#else
#define TRIB_HAS_PLAYBACK 1
#endif

/* TRIB_WITHOUT_LOG: config.log is never called; trib_init says TRIB_EINVAL and not which field. trib_error_text stays. */
#ifdef TRIB_WITHOUT_LOG
#define TRIB_HAS_LOG 0
#else
#define TRIB_HAS_LOG 1
#endif

/* TRIB_WITHOUT_REMOTE_CONFIG: the gateway's configuration is not taken: its switches, rates and intervals do nothing here,
 * and it is sent in vain with each WELCOME. The app's own stand. */
#ifdef TRIB_WITHOUT_REMOTE_CONFIG
#define TRIB_HAS_REMOTE_CONFIG 0
#else
#define TRIB_HAS_REMOTE_CONFIG 1
#endif

/* TRIB_WITHOUT_ALTERNATES: a gateway that is drained cannot send the device to another one meanwhile: it comes back to
 * config.host when it was told to. */
#ifdef TRIB_WITHOUT_ALTERNATES
#define TRIB_HAS_ALTERNATES 0
#else
#define TRIB_HAS_ALTERNATES 1
#endif

#endif
