#include "journal/guard.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stddef.h>
#include <ucontext.h>

static _Thread_local sigjmp_buf *volatile armed;
static struct sigaction previous;

/* A fault of this thread's own load, so nothing it interrupts is half done but what `body` was doing. */
static void on_bus_error(int signal_number, siginfo_t *info, void *context)
{
    const ucontext_t *interrupted = context;
    if (armed && info->si_code > 0) { /* from the kernel, not sent by somebody */
        sigjmp_buf *target = armed;
        armed = NULL;
        /* sigsetjmp kept no mask, and a sanitizer's handler has all signals blocked: the next fault would be the end. */
        (void)pthread_sigmask(SIG_SETMASK, &interrupted->uc_sigmask, NULL);
        siglongjmp(*target, 1);
    }
    /* The same fault comes again as soon as this returns, and then meets whoever had the signal before. */
    (void)sigaction(signal_number, &previous, NULL);
    if (info->si_code <= 0)
        (void)raise(signal_number);
}

void gw_guard_install(void)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    struct sigaction action = {.sa_sigaction = on_bus_error,
                               .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
    struct sigaction now;
    sigemptyset(&action.sa_mask);
    pthread_mutex_lock(&lock);
    /* Asked each time: somebody else may have taken the signal since. */
    if (sigaction(SIGBUS, NULL, &now) == 0 && now.sa_sigaction != on_bus_error) {
        previous = now;
        (void)sigaction(SIGBUS, &action, NULL);
    }
    pthread_mutex_unlock(&lock);
}

bool gw_guard_run(int (*body)(void *context), void *context, int *out_result)
{
    sigjmp_buf here, *volatile outer = armed;
    if (sigsetjmp(here, 0) != 0) {
        armed = outer;
        return false;
    }
    armed = &here;
    int result = body(context);
    armed = outer;
    *out_result = result;
    return true;
}
