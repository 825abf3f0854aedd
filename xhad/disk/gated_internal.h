/*
 * gated_internal.h - between gated.c, the disk, and gated_serve.c, its socket.
 */
#ifndef XHA_DISK_GATED_INTERNAL_H
#define XHA_DISK_GATED_INTERNAL_H

#include <pthread.h>
#include "xhad/disk/back.h"
#include "xhad/disk/front.h"
#include "xhad/disk/gated.h"

struct connection;

struct xha_gated {
    struct xha_gated_conf conf;
    int disk_fd, listen_fd;
    struct xha_meta_file file;
    struct xha_front *front;
    struct xha_back *back;
    pthread_t listener;
    bool listens;

    pthread_mutex_t lock; /* of back, and of what follows */
    pthread_cond_t change;
    bool doubt;  /* see gated.h */
    bool taking; /* a thread takes words of a primary, from taking_fd */
    int taking_fd;
    bool quit;
    uint64_t base_epoch; /* of the disk, as of which the pair's epochs are counted; 0 of them: not yet */
    bool synced;
    uint64_t ended; /* the pair's last epoch that is here whole */
    struct connection *connections;
};

/* Words of a primary, until the socket ends; owns fd. */
void gated_take(struct xha_gated *gated, int fd);
/* Answers a question; the text into text. 0, or an errno. */
int gated_answer(struct xha_gated *gated, unsigned what, uint64_t number, char *text, size_t text_len);

int gated_listen(struct xha_gated *gated);
void gated_stop(struct xha_gated *gated);

#endif
