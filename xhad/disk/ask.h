/*
 * ask.h - how other processes talk to the plugin that has a gated disk: over a unix socket, one connection for one thing.
 *
 * The first byte says what for: XHA_ASK_FEED, words (word.h) of the primary's disk, XHA_ASK_BACK, words of the backup's;
 * or XHA_ASK_CONTROL: questions of u8 what, 7 × u8 zero, u64 number, each answered by i32 0 or -errno, u32 length
 * and a text. Numbers are the machine's own.
 */
#ifndef XHA_DISK_ASK_H
#define XHA_DISK_ASK_H

#include <stddef.h>
#include <stdint.h>

#define XHA_ASK_FEED    'f'
#define XHA_ASK_BACK    'b'
#define XHA_ASK_CONTROL 'c'

enum xha_ask {
    XHA_ASK_STATUS = 1, /* the answer's text is JSON */
    XHA_ASK_BARRIER,    /* the primary's: the epoch ends */
    XHA_ASK_COMMITTED,  /* ... is held by the backup */
    XHA_ASK_END,        /* protection ended in order: this copy is the disk */
    XHA_ASK_HOLD,       /* the backup's: the epoch, once all of it is here, is on stable storage */
    XHA_ASK_PROMOTE,    /* this copy is the disk now, as of the last epoch that is held */
    XHA_ASK_OWN,        /* this copy is the disk, whatever was before, says a person; syncing ones are not */
    XHA_ASK_N_
};

struct xha_ask_question {
    uint8_t what, zero[7];
    uint64_t number;
};

#define XHA_ASK_TEXT_MAX 1024

struct xha_ask_answer {
    int32_t rc;
    uint32_t len;
};

/* Connects to a plugin's socket, for that. -1 with errno. */
int xha_ask_connect(const char *socket_path, char what_for);

/* All of it, whatever the socket takes or has at once. 0, or -1 with errno; EPIPE: the other end is gone. */
int xha_ask_send_all(int fd, const void *bytes, size_t len);
int xha_ask_receive_all(int fd, void *bytes, size_t len);

/* 0, or -1 with a text in text; then, too, when the plugin is gone or says nothing for patience_s. text may be NULL. */
int xha_ask(int fd, enum xha_ask what, uint64_t number, int patience_s, char *text, size_t text_len);

#endif
