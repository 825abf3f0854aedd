/*
 * cluster-run.c - plays one script and survives it: an assertion of a core ends the script, not the swarm.
 */
#include "tests/swarm/cluster.h"

#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

static sigjmp_buf back;

static void caught(int sig)
{
    siglongjmp(back, sig);
}

static void catch_on(bool on)
{
    static const int sigs[] = { SIGABRT, SIGSEGV, SIGFPE };
    struct sigaction sa = { .sa_flags = SA_NODEFER };

    sa.sa_handler = on ? caught : SIG_DFL;
    sigemptyset(&sa.sa_mask);
    for (unsigned i = 0; i < sizeof(sigs) / sizeof(sigs[0]); i++)
        sigaction(sigs[i], &sa, NULL);
}

int cswarm_run(const struct csim_script *script, FILE *story, bool verbose, struct csim_cover *cover,
               char *why, size_t why_len)
{
    struct csim *cs = calloc(1, sizeof(*cs));
    int sig, r;

    if (!cs)
        abort();
    cs->story = story;
    cs->verbose = verbose;
    cs->cover = cover;
    catch_on(true);
    sig = sigsetjmp(back, 1);
    if (!sig) {
        r = csim_play(cs, script);
        snprintf(why, why_len, "%s", cs->why);
        csim_free(cs);
    } else {
        /* The core may be in any state: it is left behind. */
        snprintf(why, why_len, "at %lld.%03llds: a core fell over: %s", (long long)(cs->now_ms / 1000),
                 (long long)(cs->now_ms % 1000), strsignal(sig));
        r = -1;
    }
    catch_on(false);
    free(cs);
    return r;
}
