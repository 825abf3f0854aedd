/*
 * good_conf.c - keeps, compares and brings back the last good settings.
 */
#include "xhad/ctl/good_conf.h"
#include "xhad/base/cleanup.h"
#include "xhad/base/file.h"
#include "xhad/base/job.h"
#include "xhad/base/log.h"
#include <string.h>

static void good_path(const char *state_dir, char buf[XHA_JOB_PATH_MAX])
{
    snprintf(buf, XHA_JOB_PATH_MAX, "%.1000s/xhad.conf.good", state_dir);
}

void xha_good_conf_keep(const struct xha_conf *conf)
{
    XHA_CLEANUP_FREE char *text = NULL;
    XHA_CLEANUP_FREE char *kept = NULL;
    char path[XHA_JOB_PATH_MAX];
    size_t len, kept_len;

    good_path(conf->state_dir, path);
    if (!conf->file || xha_file_read(conf->file, XHA_PARAMS_FILE_MAX, &text, &len) < 0)
        return;
    if (xha_file_read(path, XHA_PARAMS_FILE_MAX, &kept, &kept_len) == 0 && len == kept_len &&
        memcmp(text, kept, len) == 0)
        return;
    if (xha_file_write(path, 0600, text, len) < 0)
        xha_log(XHA_LOG_WARNING, "the settings cannot be kept", XHA_S("file", path),
                XHA_S("error", strerror(errno)));
}

bool xha_good_conf_changed(const struct xha_conf *conf)
{
    struct xha_problems problems = { 0 };
    struct xha_conf good;
    char path[XHA_JOB_PATH_MAX];
    bool was, changed = false;

    good_path(conf->state_dir, path);
    was = xha_conf_load(path, &good, &problems) == XHA_CONF_OK;
    for (size_t i = 0; i < xha_conf_params.n; i++) {
        const struct xha_param *param = &xha_conf_params.row[i];

        if (xha_conf_is_shared(param))
            changed |= was ? !xha_param_equal(param, &good, conf) : conf->origin.line[i] > 0;
    }
    xha_problems_clear(&problems);
    if (was)
        xha_conf_clear(&good);
    return changed;
}

/* The state_dir of a file that is no longer understood as a whole: where a line says it, else the usual one. */
static void guess_state_dir(const char *path, char buf[XHA_JOB_PATH_MAX])
{
    XHA_CLEANUP_FREE char *text = NULL;
    size_t len;

    snprintf(buf, XHA_JOB_PATH_MAX, "%s", XHA_STATE_DIR);
    if (xha_file_read(path, XHA_PARAMS_FILE_MAX, &text, &len) < 0)
        return;
    for (const char *at = text; (at = strstr(at, "state_dir")) != NULL; at++) {
        const char *value = at + strlen("state_dir"), *end;

        value += strspn(value, " \t=:");
        end = *value == '"' ? strchr(value + 1, '"') : NULL;
        if ((at == text || strchr(" \t\n;", at[-1])) && end && value[1] == '/' && end - value < 900) {
            snprintf(buf, XHA_JOB_PATH_MAX, "%.*s", (int)(end - value - 1), value + 1);
            return;
        }
    }
}

bool xha_good_conf_rescue(const char *path, struct xha_conf *conf_r)
{
    struct xha_problems problems = { 0 };
    char dir[XHA_JOB_PATH_MAX], good[XHA_JOB_PATH_MAX], timer[XHA_JOB_PATH_MAX];
    int rc;

    guess_state_dir(path, dir);
    good_path(dir, good);
    rc = xha_conf_load(good, conf_r, &problems);
    xha_problems_clear(&problems);
    if (rc != XHA_CONF_OK)
        return false;
    snprintf(timer, sizeof timer, "%.1000s/watchdog", conf_r->run_dir);
    if (access(timer, F_OK) < 0) {
        xha_conf_clear(conf_r);
        return false;
    }
    xha_log(XHA_LOG_ERROR,
            "the settings are not accepted; xhad goes on with the last ones that were, because Xen's "
            "watchdog runs",
            XHA_S("file", path), XHA_S("instead", good));
    return true;
}
