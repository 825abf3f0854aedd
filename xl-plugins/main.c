/*
 * main.c - xl-ha: protected domains from the command line. See xl-ha.h for how it is built.
 */
#include "xl-plugins/xl-ha.h"

#include <signal.h>

int main(int argc, char **argv)
{
    struct xlha x;
    int rc;

    signal(SIGPIPE, SIG_IGN);
    rc = xlha_options_parse(argc, argv, &x);
    if (rc >= 0)
        return rc;
    rc = x.command->run(&x);
    if (fflush(stdout) || ferror(stdout)) {
        perror("xl-ha: standard output");
        return rc ? rc : XLHA_FAILED;
    }
    return rc;
}
