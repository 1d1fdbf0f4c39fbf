/*
 * Copy this folder and fill in. As it stands each function returns an error, so that a piece that you have not written
 * shows itself at once and never as silent loss; delete one, and the linker names it.
 */
#include "port.h"

/*
 * --- Storage: one lane of the device journal ---
 *
 * Sectors are erased whole and programmed in units; addresses are bytes from the lane's start. Erased bytes read 0xFF,
 * and each is programmed at most once between two erasures. Calls may block for the medium's own time, never for ever.
 * Only the thread that polls calls them. For NOR flash ports/nor has all of this but the transfer.
 */

/* The erase unit: 256 to 131072; sectors: at least 3; the program unit: 1, 2, 4, 8, 16, 32 or 256. As it stands trib_init
 * refuses the geometry. Also the place to set port->lane[lane] at, before it is handed out. */
void trib_port_storage_geometry(struct trib_port *port, enum trib_lane lane, uint32_t *out_sector_bytes,
                                uint32_t *out_sector_count, uint32_t *out_program_bytes)
{
    (void)port, (void)lane;
    *out_sector_bytes = 4096;
    *out_sector_count = 0;
    *out_program_bytes = 1;
}

/* Copies length bytes from address. Any address and length within the lane; outside: TRIB_EIO. 0, or TRIB_EIO. */
int trib_port_storage_read(void *lane, uint32_t address, void *out_buffer, uint32_t length)
{
    (void)lane, (void)address, (void)out_buffer, (void)length;
    return TRIB_EIO;
}

/* Programs erased bytes; address and length are multiples of the unit, in one sector. After a power cut in the middle the
 * bytes may read as anything. 0, or TRIB_EIO. */
int trib_port_storage_program(void *lane, uint32_t address, const void *data, uint32_t length)
{
    (void)lane, (void)address, (void)data, (void)length;
    return TRIB_EIO;
}

/* Erases sector 0 to count - 1: all its bytes read 0xFF afterwards. 0, or TRIB_EIO. */
int trib_port_storage_erase(void *lane, uint32_t sector)
{
    (void)lane, (void)sector;
    return TRIB_EIO;
}

/* Returns 0 only when all that was programmed and erased survives a power cut. On raw flash that is at once; on a file
 * it is fdatasync; on a card it may be more than its driver says. 0, or TRIB_EIO. */
int trib_port_storage_sync(void *lane)
{
    (void)lane;
    return TRIB_EIO;
}

/*
 * --- Net: a byte stream. Put ports/mbedtls, or your modem's TLS, on top, and config.net is that. ---
 *
 * Nothing here blocks (a TLS handshake step may take as long as its arithmetic). Zero is never returned by send or
 * receive; a length or capacity of 0 is TRIB_EINVAL.
 */

/* Begins or goes on. 0: connected (and stays 0). TRIB_EAGAIN: call again. TRIB_EIO, TRIB_ETLS, TRIB_ECERTIFICATE: it
 * failed; close follows. host stays valid until close; looking it up must not block either. */
int trib_port_net_connect(void *port, const char *host, uint16_t number)
{
    (void)port, (void)host, (void)number;
    return TRIB_EIO;
}

/* The number of bytes taken, at least 1; fewer than asked is normal. TRIB_EAGAIN: none can be taken now; the same bytes
 * are offered again. TRIB_ECLOSED, also when not connected; TRIB_EIO. Must not raise a signal. */
int trib_port_net_send(void *port, const uint8_t *data, size_t length)
{
    (void)port, (void)data, (void)length;
    return TRIB_EIO;
}

/* The number of bytes stored, at least 1. TRIB_EAGAIN: none are there. TRIB_ECLOSED at the end, and ever after.
 * TRIB_EIO. */
int trib_port_net_receive(void *port, uint8_t *out_buffer, size_t capacity)
{
    (void)port, (void)out_buffer, (void)capacity;
    return TRIB_EIO;
}

/* At once, at any moment, any number of times; connect may follow. */
void trib_port_net_close(void *port)
{
    (void)port;
}

/*
 * --- Clock ---
 *
 * Milliseconds since some moment of this boot. It never goes back, never jumps, is not set by anyone, and counts the
 * time the device sleeps: watch times and keep-alive rest on it. It may be called from any thread that records.
 * It has no way to report an error: zero for ever is what a missing clock looks like.
 */
uint64_t trib_port_clock_mono_ms(void *port)
{
    (void)port;
    return 0;
}

/*
 * --- Discontinuity: only for a clock that stands still in suspend or is set; else take it out of assemble.c ---
 *
 * A number that is another one whenever the clock does not tell how much time went by. As it stands: it never happened.
 */
uint32_t trib_port_discontinuity_count(void *port)
{
    (void)port;
    return 0;
}

/*
 * --- Entropy ---
 *
 * Fills the buffer from a cryptographic source: a hardware generator, or a DRBG seeded by one. TLS keys, websocket masks,
 * stream ids and the spread of reconnects rest on it. There is no weak default: return TRIB_EIO rather than guess.
 */
int trib_port_entropy_fill(void *port, uint8_t *out_buffer, size_t length)
{
    (void)port, (void)out_buffer, (void)length;
    return TRIB_EIO;
}

/*
 * --- Digest: SHA-256 of user ids; ports/mbedtls has one ---
 *
 * Fills the 32 bytes. Called by whoever records, also by several threads at once: no state, no waiting. 0; or TRIB_EIO,
 * and then the recording call fails with it.
 */
int trib_port_digest_sha256(void *port, const void *data, size_t length, uint8_t out[32])
{
    (void)port, (void)data, (void)length, (void)out;
    return TRIB_EIO;
}

/*
 * --- Lock: only if more than one thread records; else take it out of assemble.c ---
 *
 * Guards the staging buffer for microseconds, never across a call of a port. Give it priority inheritance. As it stands
 * it keeps nobody out, which the conformance suite notices.
 */
void trib_port_lock_lock(void *port)
{
    (void)port;
}

void trib_port_lock_unlock(void *port)
{
    (void)port;
}

/* --- Wait: trib_flush sleeps here until the net can go on or the time is over; 20 ms at most if you cannot see the net.
 * As it stands a flush polls without a pause. --- */
void trib_port_wait_wait(void *port, uint32_t timeout_ms)
{
    (void)port, (void)timeout_ms;
}

/* --- Log: one line without its end, valid during the call only. --- */
void trib_port_log_write(void *port, enum trib_log_level level, const char *text)
{
    (void)port, (void)level, (void)text;
}
