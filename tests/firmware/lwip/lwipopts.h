/* lwIP as a firmware on FreeRTOS has it: its own sockets, its own thread, DNS. For compiling ports/lwip only. */
#ifndef FIRMWARE_LWIPOPTS_H
#define FIRMWARE_LWIPOPTS_H

#define NO_SYS 0
#define LWIP_SOCKET 1
#define LWIP_COMPAT_SOCKETS 0
#define LWIP_DNS 1
#define LWIP_IPV6 1
#define LWIP_SO_LINGER 1
#define LWIP_TIMEVAL_PRIVATE 0
#define SYS_LIGHTWEIGHT_PROT 1

#endif
