/*
 * main.c - xl-ha: protected domains from the command line. See xl-ha.h for how it is built.
 */
#include "xl-plugins/xl-ha.h"

#include <fcntl.h>
#include <unistd.h>

/* The socket to xhad must not become standard output where that is closed. Writing there fails, as it should.
 */
static void fill_standard_files(void)
{
    int fd;

    do
        fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0)
        close(fd);
}

int main(int argc, char **argv)
{
    struct xlha x;
    int rc;

    fill_standard_files();
    rc = xlha_options_parse(argc, argv, &x);
    if (rc < 0)
        rc = x.command->run(&x);
    if (fflush(stdout) || ferror(stdout)) {
        perror("xl-ha: standard output");
        return rc ? rc : XLHA_FAILED;
    }
    return rc;
}
