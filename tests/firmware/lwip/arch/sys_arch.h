/* The kernel's objects, for lwIP: opaque, for nothing here is linked. */
#ifndef FIRMWARE_LWIP_SYS_ARCH_H
#define FIRMWARE_LWIP_SYS_ARCH_H

typedef void *sys_sem_t;
typedef void *sys_mutex_t;
typedef void *sys_mbox_t;
typedef void *sys_thread_t;
typedef int sys_prot_t;

#endif
