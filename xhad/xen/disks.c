/*
 * disks.c - see disks.h.
 */
#include "xhad/xen/disks.h"
#include "xhad/xen/run.h"
#include "xhad/base/text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define COMMAND_LIMIT_MS 30000 /* the guest stands still meanwhile */
#define DISKS_TEXT_MAX   8192
#define ENV_MAX          256

static bool writable(const libxl_device_disk *disk)
{
    return disk->readwrite && !disk->is_cdrom;
}

enum xha_disks_rule xha_disks_judge(const libxl_domain_config *config, const char *disks, const char *command,
                                    char *err, size_t err_len)
{
    const libxl_device_disk *first = NULL;

    for (int i = 0; i < config->num_disks && !first; i++)
        if (writable(&config->disks[i]))
            first = &config->disks[i];
    if (!first || strcmp(disks, "unsafe") == 0)
        return XHA_DISKS_FREE;
    if (command[0] != '\0')
        return XHA_DISKS_SNAPSHOT;
    snprintf(err, err_len,
             "its disk %s is writable, and memory older than a disk corrupts it. Set snapshot_command in its "
             "policy, make "
             "the disk read-only, or say disks = \"unsafe\"",
             first->vdev ? first->vdev : "?");
    return XHA_DISKS_REFUSE;
}

/* One line per writable disk. */
static void list_disks(const libxl_domain_config *config, char *text, size_t size)
{
    size_t used = 0;

    text[0] = '\0';
    for (int i = 0; i < config->num_disks; i++) {
        const libxl_device_disk *disk = &config->disks[i];
        int r;

        if (!writable(disk))
            continue;
        r = snprintf(text + used, size - used, "%s%s %s", used ? "\n" : "", disk->vdev ? disk->vdev : "?",
                     disk->pdev_path ? disk->pdev_path : "");
        if (r < 0 || (size_t)r >= size - used) {
            text[used] = '\0';
            return;
        }
        used += (size_t)r;
    }
}

/* Ours and, behind it, what we were given ourselves. */
static void make_env(char *const own[], size_t n_own, const char *env_r[ENV_MAX])
{
    size_t n = 0;

    for (; n < n_own; n++)
        env_r[n] = own[n];
    for (char **e = environ; *e && n < ENV_MAX - 1; e++)
        if (strncmp(*e, "XHA_", 4) != 0)
            env_r[n++] = *e;
    env_r[n] = NULL;
}

static int run_with(struct xha_work *w, const char *action, char *const own[], size_t n_own, char *err,
                    size_t err_len)
{
    const char *const argv[] = { w->job.checkpoint.snapshot_command, action, NULL };
    const char *env[ENV_MAX];
    char out[64], said[512], shown[256];
    struct xha_run run = {
        .argv = argv,
        .env = env,
        .limit_ms = COMMAND_LIMIT_MS,
        .out = out,
        .out_size = sizeof(out),
        .err = said,
        .err_size = sizeof(said),
    };

    make_env(own, n_own, env);
    if (xha_run(&run) < 0) {
        snprintf(err, err_len, "%s cannot be run: %s", argv[0], strerror(errno));
        return -1;
    }
    if (!run.timed_out && run.status == 0)
        return 0;
    for (size_t n = run.err_len; n > 0 && said[n - 1] == '\n';)
        said[--n] = '\0';
    xha_text_escape(shown, sizeof(shown), said);
    if (run.timed_out)
        snprintf(err, err_len, "%s %s did not end in %d s", argv[0], action, COMMAND_LIMIT_MS / 1000);
    else
        snprintf(err, err_len, "%s %s failed with status %d%s%s", argv[0], action, run.status,
                 shown[0] ? ": " : "", shown);
    return -1;
}

int xha_disks_run(struct xha_work *w, const libxl_domain_config *config, const char *action, uint64_t number,
                  char *err, size_t err_len)
{
    char list[DISKS_TEXT_MAX] = "XHA_DISKS=", domain[XHA_NAME_MAX + 16], uuid[64], checkpoint[48];
    char *const own[] = { domain, uuid, checkpoint, list };

    snprintf(domain, sizeof(domain), "XHA_DOMAIN=%s", w->job.name);
    snprintf(uuid, sizeof(uuid), "XHA_UUID=%s", w->uuid);
    snprintf(checkpoint, sizeof(checkpoint), "XHA_CHECKPOINT=%" PRIu64, number);
    list_disks(config, list + strlen(list), sizeof(list) - strlen(list));
    return run_with(w, action, own, sizeof(own) / sizeof(*own), err, err_len);
}
