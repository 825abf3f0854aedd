/*
 * fence_conf.h - how hosts are powered off: the list `fence` of xhad.conf.
 *
 *   fence = ( { host = "h1"; agent = "fence_ipmilan"; level = 1; delay = 0; retries = 2; timeout = 60;
 *               action = "off"; plug = "4"; password_file = "/…"; options = { ip = "10.0.0.9"; }; } );
 *
 * Each entry is a device: a standard fence agent with what it is told. Devices of one level must all succeed
 * (two power supplies); the next level is tried when one of them failed. Whether an agent knows an option is
 * asked of the agent, by cluster/fencer.h.
 */
#ifndef XHA_BASE_FENCE_CONF_H
#define XHA_BASE_FENCE_CONF_H

#include "xhad/base/params.h"
#include "xhad/core/core.h"

#define XHA_FENCE_DEVICES_MAX 512 /* of all hosts */
#define XHA_FENCE_OPTIONS_MAX 64  /* of one device */
#define XHA_FENCE_LEVEL_MAX   9

enum xha_fence_action {
    XHA_FENCE_OFF,    /* it stays off */
    XHA_FENCE_REBOOT, /* off, and on again once it is known to be off */
    XHA_FENCE_ACTION_N_
};

struct xha_fence_option {
    char *name, *value;
};

/* All strings are owned. */
struct xha_fence_device {
    char *host;
    char *agent;         /* a name, looked for where agents are, or an absolute path */
    char *plug;          /* "": none. Told to the agent as plug or port, whichever it knows */
    char *password_file; /* "": none. Its first line is told to the agent as the password */
    uint32_t level, retries;
    struct xha_span delay, timeout; /* before the first try; of each run of the agent */
    enum xha_fence_action action;
    struct xha_fence_option option[XHA_FENCE_OPTIONS_MAX];
    size_t options;
    int line; /* of the file */
};

/* Zero-initialise; xha_fence_conf_clear(). */
struct xha_fence_conf {
    struct xha_fence_device *device;
    size_t n;
};

/*
 * Reads the setting `fence`. XHA_CONF_OK; XHA_CONF_E_BAD: the problems say why; XHA_CONF_E_NOMEM. conf_r is to
 * be cleared in all cases.
 */
int xha_fence_conf_read(const struct config_setting_t *fence, const char *file, struct xha_fence_conf *conf_r,
                        struct xha_problems *problems);

/* XHA_CONF_OK or XHA_CONF_E_NOMEM; then *copy_r is empty. */
int xha_fence_conf_copy(const struct xha_fence_conf *conf, struct xha_fence_conf *copy_r);
void xha_fence_conf_clear(struct xha_fence_conf *conf);
bool xha_fence_conf_equal(const struct xha_fence_conf *a, const struct xha_fence_conf *b);

/* Whether the option called so holds what nobody may read: a password, a token. */
bool xha_fence_option_secret(const char *name);

/* Passwords that others may read, in the file itself or in a password_file: added to warnings. */
void xha_fence_conf_exposed(const struct xha_fence_conf *conf, const char *file,
                            struct xha_problems *warnings);

/* As `xhad -n` shows it; secrets are not shown. */
void xha_fence_conf_print(const struct xha_fence_conf *conf, FILE *out);

const char *xha_fence_action_name(enum xha_fence_action action);

#endif
