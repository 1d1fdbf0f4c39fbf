/* An app outside the tree, in the words that C11 and C++17 share: everything is declared, linked and callable. */
#include <stdio.h>
#include <string.h>

#include <tributary/mbedtls/net_tls.h>
#include <tributary/posix/net_tcp.h>
#include <tributary/posix/platform.h>
#include <tributary/tributary.h>

static struct trib_client client;
static struct trib_posix_tcp tcp;
static struct trib_mbedtls tls;

int main(void)
{
    struct trib_config config;
    struct trib_mbedtls_config tls_config;
    struct trib_session session;
    unsigned char random[16];
    struct trib_entropy entropy = trib_posix_entropy();
    struct trib_clock clock = trib_posix_clock();

    memset(&config, 0, sizeof config);
    memset(&tls_config, 0, sizeof tls_config);
    memset(&session, 0, sizeof session);
    trib_posix_tcp_init(&tcp, NULL);
    tls_config.lower = trib_posix_tcp_net(&tcp);
    tls_config.entropy = entropy;
    if (trib_mbedtls_init(&tls, &tls_config) != TRIB_EINVAL) /* no CA: refused */
        return 1;
    config.net = trib_mbedtls_net(&tls);
    config.entropy = entropy;
    config.digest = trib_mbedtls_digest();
    config.clock = clock;
    if (trib_init(&client, &config) != TRIB_EINVAL) /* no device id, no storage: refused */
        return 2;
    if (entropy.fill(entropy.context, random, sizeof random) != 0 || clock.mono_ms(clock.context) == 0)
        return 3;
    trib_mbedtls_deinit(&tls);
    trib_posix_tcp_deinit(&tcp);
    printf("%s %s\n", TRIBUTARY_VERSION, trib_error_text(TRIB_EINVAL));
    return 0;
}
