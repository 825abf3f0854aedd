/*
 * talk.h - the conversation of a move, from the job to the last answer, whichever hypervisor is at its ends.
 *
 *   source                                  target
 *                                           listen, tell the port
 *   connect, HELLO, CONFIG          →       look whether it can be taken
 *                                   ←       READY or REFUSED
 *   DATA …                          →       restore
 *   (all sent, the guest suspended)
 *   TRAILER: from here on only the
 *   cluster's order decides         →       whole and paused
 *                                   ←       DONE or REFUSED
 */
#ifndef XHA_MOVE_TALK_H
#define XHA_MOVE_TALK_H

#include "xhad/base/job.h"
#include "xhad/move/relay.h"
#include "xhad/move/wire.h"

/* Who is to wait how long, from the job. */
struct xha_talk {
    const struct xha_job *job;
    int64_t until_ms; /* of the whole job; INT64_MAX: none */
    struct xha_stop stop;
};

/* ---- the target ---- */

/*
 * Listens, tells the port by a progress line on progress_fd, and waits for the one that knows the move's key;
 * whoever does not is turned away. 0 with the wire and what it wants, or -1 with a text in err.
 */
int xha_talk_accept(const struct xha_talk *talk, enum xha_hello_kind kind, int progress_fd,
                    struct xha_wire **wire_r, struct xha_hello *hello_r, char *err, size_t err_len);

/* The configuration that follows a greeting for a domain; the caller frees it. NULL with a text in err. */
char *xha_talk_config(const struct xha_talk *talk, struct xha_wire *wire, char *err, size_t err_len);

/* Answers; best effort. After DONE or REFUSED the conversation is over: waits a moment for the peer to hang up
 * first, so that it gets to read the answer. */
void xha_talk_answer(const struct xha_talk *talk, struct xha_wire *wire, enum xha_answer_kind kind,
                     enum xha_refusal refusal, const char *text);

/* ---- the source ---- */

/* 0, or -1 with a text in err. */
int xha_talk_connect(const struct xha_talk *talk, struct xha_wire **wire_r, char *err, size_t err_len);

/* Greets, and for a domain sends its configuration (else NULL); waits for the answer. 0: READY. */
int xha_talk_offer(const struct xha_talk *talk, struct xha_wire *wire, const struct xha_hello *hello,
                   const char *config_json, enum xha_refusal *refusal_r, char *err, size_t err_len);

/* Sends the trailer. 0: it is on the way; -1: nobody knows. */
int xha_talk_commit(const struct xha_talk *talk, struct xha_wire *wire, const struct xha_trailer *trailer);

/* Waits for an answer. 0, or -1 with a text in err. */
int xha_talk_await(const struct xha_talk *talk, struct xha_wire *wire, int64_t wait_ms,
                   struct xha_answer *answer_r, char *err, size_t err_len);

#endif
