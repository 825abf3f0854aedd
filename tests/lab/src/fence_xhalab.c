/*
 * fence_xhalab: the fence agent of the lab's hosts, by the rules of the standard ones: name=value lines on standard
 * input (action, plug), or -o ACTION -n PLUG; exit 0 is success, and 2 that the power is off for action=status.
 *
 * It reaches the power switches through the virtio-serial port "power", which `labtool power` serves outside. Only
 * one process can have the port open, so agents take turns.
 */
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define LOCK "/run/fence_xhalab.lock"

static const char metadata[] =
    "<?xml version=\"1.0\" ?>\n"
    "<resource-agent name=\"fence_xhalab\" shortdesc=\"Power switches of the lab's hosts\" >\n"
    "<longdesc>Switches hosts of xhad's lab off and on, by the lab that they run in.</longdesc>\n"
    "<parameters>\n"
    "\t<parameter name=\"action\" unique=\"0\" required=\"1\">\n"
    "\t\t<getopt mixed=\"-o, --action=[action]\" />\n"
    "\t\t<content type=\"string\" default=\"off\"  />\n"
    "\t\t<shortdesc lang=\"en\">Fencing action</shortdesc>\n"
    "\t</parameter>\n"
    "\t<parameter name=\"plug\" unique=\"0\" required=\"1\" obsoletes=\"port\">\n"
    "\t\t<getopt mixed=\"-n, --plug=[id]\" />\n"
    "\t\t<content type=\"string\"  />\n"
    "\t\t<shortdesc lang=\"en\">The host: h1, h2 or h3</shortdesc>\n"
    "\t</parameter>\n"
    "</parameters>\n"
    "<actions>\n"
    "\t<action name=\"on\" automatic=\"0\"/>\n"
    "\t<action name=\"off\" />\n"
    "\t<action name=\"reboot\" />\n"
    "\t<action name=\"status\" />\n"
    "\t<action name=\"monitor\" />\n"
    "\t<action name=\"list\" />\n"
    "\t<action name=\"metadata\" />\n"
    "</actions>\n"
    "</resource-agent>\n";

static char action[32] = "off", plug[32];

static void fail(const char *what)
{
    fprintf(stderr, "fence_xhalab: %s\n", what);
    exit(1);
}

static void read_options(int argc, char **argv)
{
    char line[256];
    int c;

    while ((c = getopt(argc, argv, "o:n:")) != -1) {
        if (c == 'o')
            snprintf(action, sizeof(action), "%s", optarg);
        else if (c == 'n')
            snprintf(plug, sizeof(plug), "%s", optarg);
        else
            exit(1);
    }
    if (argc > 1)
        return;
    while (fgets(line, sizeof(line), stdin)) {
        line[strcspn(line, "\r\n")] = 0;
        if (!strncmp(line, "action=", 7))
            snprintf(action, sizeof(action), "%.31s", line + 7);
        else if (!strncmp(line, "plug=", 5) || !strncmp(line, "port=", 5))
            snprintf(plug, sizeof(plug), "%.31s", line + 5);
    }
}

static int open_port(void)
{
    static const char ports[] = "/sys/class/virtio-ports";
    struct dirent *e;
    int fd = -1;

    int lock = open(LOCK, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (lock < 0 || flock(lock, LOCK_EX) < 0)
        fail("cannot lock " LOCK);
    DIR *dir = opendir(ports);
    while (dir && fd < 0 && (e = readdir(dir))) {
        char path[400], name[16] = "";

        snprintf(path, sizeof(path), "%s/%s/name", ports, e->d_name);
        FILE *f = fopen(path, "re");
        if (!f)
            continue;
        if (!fgets(name, sizeof(name), f) || strcmp(name, "power\n") != 0)
            name[0] = 0;
        fclose(f);
        snprintf(path, sizeof(path), "/dev/%s", e->d_name);
        if (name[0])
            fd = open(path, O_RDWR | O_CLOEXEC);
    }
    if (dir)
        closedir(dir);
    if (fd < 0)
        fail("this host has no port called power: is it one of the lab's?");
    return fd;
}

/* Waits for the answer to request ID, and drops what earlier agents have not waited for. Exits when it failed. */
static void answer(int fd, const char *id, char *said, size_t len)
{
    char line[128];
    size_t used = 0;

    for (;;) {
        struct pollfd p = { .fd = fd, .events = POLLIN };

        if (poll(&p, 1, -1) < 0 || read(fd, line + used, 1) != 1)
            fail("the lab does not answer");
        if (line[used] != '\n') {
            used += used < sizeof(line) - 1;
            continue;
        }
        line[used] = 0;
        used = 0;
        if (strncmp(line, id, strlen(id)) != 0 || line[strlen(id)] != ' ')
            continue;
        if (strncmp(line + strlen(id), " ok", 3) != 0)
            fail("the power switch failed");
        snprintf(said, len, "%s", line + strlen(id) + 3 + (line[strlen(id) + 3] == ' '));
        return;
    }
}

static void ask(int fd, const char *verb, char *said, size_t len)
{
    static int n;
    char line[128], id[32];

    snprintf(id, sizeof(id), "%d.%d", (int)getpid(), ++n);
    int l = snprintf(line, sizeof(line), "%s %s %s\n", id, verb, plug);
    if (write(fd, line, (size_t)l) != l)
        fail("the lab cannot be asked");
    answer(fd, id, said, len);
}

/* The power is said to be so, too. */
static void turn(int fd, const char *verb)
{
    char said[32];

    ask(fd, verb, said, sizeof(said));
    ask(fd, "status", said, sizeof(said));
    if (strcmp(said, verb) != 0)
        fail("the power is not as it was switched");
}

int main(int argc, char **argv)
{
    char said[32];

    read_options(argc, argv);
    if (!strcmp(action, "metadata")) {
        fputs(metadata, stdout);
        return 0;
    }
    int fd = open_port();
    if (!strcmp(action, "list")) {
        puts("h1,\nh2,\nh3,");
        return 0;
    }
    if (plug[0] != 'h' || strlen(plug) != 2)
        fail("which host? plug=h1, h2 or h3");
    if (!strcmp(action, "status") || !strcmp(action, "monitor")) {
        ask(fd, "status", said, sizeof(said));
        printf("Status: %s\n", said);
        return !strcmp(action, "status") && strcmp(said, "on") != 0 ? 2 : 0;
    }
    if (!strcmp(action, "reboot") || !strcmp(action, "off"))
        turn(fd, "off");
    if (!strcmp(action, "reboot") || !strcmp(action, "on"))
        turn(fd, "on");
    else if (strcmp(action, "off") != 0)
        fail("unknown action");
    printf("Success: %s\n", action);
    return 0;
}
