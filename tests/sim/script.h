/*
 * script.h - a story to be played: settings, domains, and what happens to them when.
 *
 * The scenario runner reads scripts from .sim files; the swarm makes random ones, and writes the shrunk ones
 * out in the same language. README.md in tests/scenario describes it.
 */
#ifndef XHA_SIM_SCRIPT_H
#define XHA_SIM_SCRIPT_H

#include <stdio.h>

#include "xhad/core/core.h"

#define SIM_GUESTS_MAX 64
#define SIM_NAME_MAX   24
#define SIM_TEXT_MAX   512
#define SIM_AT_END     INT64_MAX /* lines without a time: after the run */

enum sim_verb {
    /* the guest's own doing */
    SIM_CRASH,
    SIM_WATCHDOG,
    SIM_POWEROFF,
    SIM_REBOOT,
    SIM_SHUT_REASON,
    SIM_HANG,
    SIM_WAKE,
    SIM_BEATS_STOP,
    SIM_BEATS_RETURN,
    SIM_IO_FLOWS,
    SIM_IO_STOPS,
    SIM_BOOTS_IN,
    SIM_BOOTS_DEAD,
    SIM_RESTORES_DEAD,
    SIM_BOOTS_WELL,
    SIM_STOP_IGNORE,
    SIM_STOP_OBEY,
    SIM_STOP_TAKES,
    SIM_JUNK,
    SIM_IDLE,
    /* other toolstacks, and people with xl */
    SIM_PAUSED,
    SIM_UNPAUSED,
    SIM_SUSPENDED,
    SIM_RESUMED,
    SIM_SB_DESTROYS,
    SIM_SB_REBOOTS,
    SIM_SB_STARTS,
    SIM_DUPLICATE,
    /* workers and checkpoints */
    SIM_W_TAKES,
    SIM_W_FAILS_TIMES,
    SIM_W_FAILS,
    SIM_W_UNKNOWN_TIMES,
    SIM_W_UNKNOWN,
    SIM_W_WELL,
    SIM_W_KILLED,
    SIM_CP_CORRUPT,
    SIM_CP_GONE,
    /* the host */
    SIM_STARVE,
    SIM_XS_FAILS,
    SIM_XS_SLOW,
    SIM_SILENT,
    SIM_LISTINGS_LATE,
    SIM_HOST_REBOOTS,
    /* xhad itself */
    SIM_XHAD_RESTARTS,
    SIM_XHAD_DOWN,
    SIM_XHAD_DIES_AFTER,
    /* orders */
    SIM_OP_START,
    SIM_OP_STOP,
    SIM_OP_RESTART,
    SIM_OP_CHECKPOINT,
    SIM_OP_RESTORE_FROM,
    SIM_OP_RESTORE,
    SIM_OP_MAINT_HOST_ON,
    SIM_OP_MAINT_HOST_OFF,
    SIM_OP_MAINT_ON,
    SIM_OP_MAINT_OFF,
    SIM_OP_SCHED,
    SIM_OP_PROTECT,
    SIM_OP_UNPROTECT,
    SIM_POLICY,
    SIM_SETTING,
    /* judgements */
    SIM_EXPECT_LIVES,
    SIM_EXPECT_BEATS,
    SIM_EXPECT_HOST_ILL,
    SIM_EXPECT_HOST_WELL,
    SIM_EXPECT_STATE,
    SIM_VERB_N_
};

/* How far a worker had come when it ended UNKNOWN. */
enum sim_effect { SIM_EFFECT_NOTHING, SIM_EFFECT_HALF, SIM_EFFECT_DONE, SIM_EFFECT_N_ };

struct sim_line {
    int64_t at_ms;
    enum sim_verb verb;
    int guest; /* index, or -1 */
    int host;
    int64_t span_ms;
    int64_t number;
    int word;  /* enum xha_action_type, 0: all of them; or enum xha_state */
    int word2; /* enum xha_refusal or enum sim_effect */
    char text[SIM_TEXT_MAX];
    unsigned lineno;
};

struct sim_guest_def {
    char name[SIM_NAME_MAX];
    struct xha_policy policy;
    char policy_text[SIM_TEXT_MAX];
    bool running; /* runs before xhad protects it */
    bool later;   /* not under protection until an `operator protects` */
    int host;
};

struct sim_script {
    const char *file;
    struct xha_settings settings;
    char settings_text[SIM_TEXT_MAX];
    unsigned hosts;
    uint64_t jitter; /* seed of random latencies; 0: none, all latencies fixed */
    bool settle;     /* at the end all disturbances end, and everybody must come to rest (swarm) */
    int64_t end_ms;
    unsigned n_guests;
    struct sim_guest_def guest[SIM_GUESTS_MAX];
    unsigned n_lines, cap_lines;
    struct sim_line *line;
};

void sim_script_init(struct sim_script *script, const char *file);
void sim_script_free(struct sim_script *script);

/* Both return 0, or -1 with "FILE:LINE: what is wrong" in err. */
int sim_script_read(struct sim_script *script, FILE *in, char *err, size_t err_len);
int sim_script_parse_line(struct sim_script *script, const char *text, unsigned lineno, char *err,
                          size_t err_len);

/* Adds a copy of the line; keeps no order: sim_script_sort() brings the lines into order of time. */
struct sim_line *sim_script_add(struct sim_script *script, const struct sim_line *line);
void sim_script_sort(struct sim_script *script);

void sim_script_write(const struct sim_script *script, FILE *out);
/* The line as it stands in a script, without its time; into buf, which is returned. */
const char *sim_line_text(const struct sim_script *script, const struct sim_line *line, char *buf,
                          size_t len);

/* ---- keys.c: "key=value key=value …" into policies and settings; -1 and a reason in err ---- */
void sim_policy_default(struct xha_policy *policy);
void sim_settings_default(struct xha_settings *settings);
int sim_policy_apply(struct xha_policy *policy, const char *text, char *err, size_t err_len);
int sim_settings_apply(struct xha_settings *settings, const char *text, char *err, size_t err_len);
/* "10s", "1.5m", "250ms", "2h"; a bare number is seconds. */
int sim_span_parse(const char *text, int64_t *ms_r);
const char *sim_span_text(int64_t ms, char *buf, size_t len);
/* Words of the core (state, refusal, …) back to numbers: -1 when unknown. */
int sim_word_find(const char *(*name)(int), int n, const char *word);
const char *sim_action_word(int type);
const char *sim_refusal_word(int refusal);
const char *sim_state_word(int state);
const char *sim_effect_word(int effect);

#endif
