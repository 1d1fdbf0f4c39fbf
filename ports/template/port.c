#include "port.h"

#include "wire/error.h"

/*
 * --- Storage: one lane of the device journal. Each lane has a struct of its own. ---
 *
 * Sectors are erased whole and programmed in units; addresses are bytes from the lane's start. Erased bytes read 0xFF,
 * and each is programmed at most once between two erasures. Calls may block for the medium's own time. Only the thread
 * that polls calls them.
 */

/* Copies length bytes from address. Any address and length within the lane. 0, or TRIB_EIO. */
static int storage_read(void *context, uint32_t address, void *out_buffer, uint32_t length)
{
    (void)context, (void)address, (void)out_buffer, (void)length;
    return TRIB_EIO;
}

/* Programs erased bytes; address and length are multiples of program_bytes. After a power cut in the middle the bytes
 * may read as anything. 0, or TRIB_EIO. */
static int storage_program(void *context, uint32_t address, const void *data, uint32_t length)
{
    (void)context, (void)address, (void)data, (void)length;
    return TRIB_EIO;
}

/* Erases sector 0 to sector_count - 1: all its bytes read 0xFF afterwards. 0, or TRIB_EIO. */
static int storage_erase(void *context, uint32_t sector)
{
    (void)context, (void)sector;
    return TRIB_EIO;
}

/* Returns 0 only when all that was programmed and erased survives a power cut. On raw flash that is at once; on a file
 * it is fdatasync; on a card it may be more than its driver says. 0, or TRIB_EIO. */
static int storage_sync(void *context)
{
    (void)context;
    return TRIB_EIO;
}

struct trib_storage my_storage(struct my_port *port)
{
    return (struct trib_storage){
        .context = port,
        .sector_bytes = 4096, /* the erase unit: 256 to 131072 */
        .sector_count = 0,    /* at least 3; as it stands trib_init refuses it */
        .program_bytes = 1,   /* the program unit: a power of two, 1 to 32, or 256 */
        .read = storage_read,
        .program = storage_program,
        .erase = storage_erase,
        .sync = storage_sync,
    };
}

/*
 * --- Net: a byte stream. Put ports/mbedtls, or your modem's TLS, on top. ---
 *
 * Nothing here blocks (a TLS handshake step may take as long as its arithmetic). Zero is never returned by send or
 * receive. The check in tests/conformance/net_contract_test.c says the same in code.
 */

/* Begins or goes on. 0: connected (and stays 0). TRIB_EAGAIN: call again. TRIB_EIO, TRIB_ETLS, TRIB_ECERTIFICATE: it
 * failed; close follows. host stays valid until close; looking it up must not block either. */
static int net_connect(void *context, const char *host, uint16_t port)
{
    (void)context, (void)host, (void)port;
    return TRIB_EIO;
}

/* The number of bytes taken, at least 1; fewer than asked is normal. TRIB_EAGAIN: none can be taken now; the same bytes
 * are offered again. TRIB_ECLOSED, TRIB_EIO. Must not raise a signal. */
static int net_send(void *context, const uint8_t *data, size_t length)
{
    (void)context, (void)data, (void)length;
    return TRIB_EIO;
}

/* The number of bytes stored, at least 1. TRIB_EAGAIN: none are there. TRIB_ECLOSED at the end, and ever after.
 * TRIB_EIO. */
static int net_receive(void *context, uint8_t *out_buffer, size_t capacity)
{
    (void)context, (void)out_buffer, (void)capacity;
    return TRIB_EIO;
}

/* At once, at any moment, any number of times; connect may follow. */
static void net_close(void *context)
{
    (void)context;
}

struct trib_net my_net(struct my_port *port)
{
    return (struct trib_net){port, net_connect, net_send, net_receive, net_close};
}

/*
 * --- Clock ---
 *
 * Milliseconds since some moment of this boot. It never goes back, never jumps, is not set by anyone, and counts the
 * time the device sleeps: watch times and keep-alive rest on it. It may be called from any thread that records.
 * It has no way to report an error: zero for ever is what a missing clock looks like.
 */
static uint64_t clock_mono_ms(void *context)
{
    (void)context;
    return 0;
}

struct trib_clock my_clock(struct my_port *port)
{
    return (struct trib_clock){port, clock_mono_ms};
}

/*
 * --- Entropy ---
 *
 * Fills the buffer from a cryptographic source: a hardware generator, or a DRBG seeded by one. TLS keys, websocket masks,
 * stream ids and the spread of reconnects rest on it. There is no weak default: return TRIB_EIO rather than guess.
 */
static int entropy_fill(void *context, uint8_t *out_buffer, size_t length)
{
    (void)context, (void)out_buffer, (void)length;
    return TRIB_EIO;
}

struct trib_entropy my_entropy(struct my_port *port)
{
    return (struct trib_entropy){port, entropy_fill};
}

/*
 * --- Digest: SHA-256 of user ids; ports/mbedtls has one ---
 *
 * Fills the 32 bytes. Called by whoever records, also by several threads at once: no state, no waiting. 0; or TRIB_EIO,
 * and then the recording call fails with it.
 */
static int digest_sha256(void *context, const void *data, size_t length, uint8_t out[32])
{
    (void)context, (void)data, (void)length, (void)out;
    return TRIB_EIO;
}

struct trib_digest my_digest(struct my_port *port)
{
    return (struct trib_digest){port, digest_sha256};
}

/*
 * --- Lock: only if more than one thread records ---
 *
 * Guards the staging buffer for microseconds, never across a call of a port. Leave the struct empty in a
 * single-threaded app: a lock that does nothing is worse than none, which this template gives.
 */
struct trib_lock my_lock(struct my_port *port)
{
    (void)port;
    return (struct trib_lock){0};
}

/* --- Log: optional; one line without its end, valid during the call only. --- */
struct trib_log my_log(struct my_port *port)
{
    (void)port;
    return (struct trib_log){0};
}
