/*
 * cmd_migrate_xl.c - migrate-receive: the other end of a stock `xl migrate`.
 *
 * xl talks to it over standard input and output; the helper towards Xen does that, in our place. xhad is not
 * asked: the domain comes from a host that knows no cluster, and comes under protection by `xl-ha protect`.
 */
#include "xl-plugins/xl-ha.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

int xlha_cmd_migrate_receive(struct xlha *x)
{
    static const char helper[] = XHA_LIBEXEC_DIR "/xhad-xen";

    (void)x;
    if (isatty(STDIN_FILENO)) {
        xlha_fail(XLHA_USAGE,
                  "migrate-receive is for xl migrate -s '' DOMAIN 'ssh HOST xl-ha migrate-receive'");
        return XLHA_USAGE;
    }
    execl(helper, helper, "migrate-receive", (char *)NULL);
    xlha_fail(XLHA_FAILED, "%s: %s", helper, strerror(errno));
    return XLHA_FAILED;
}
