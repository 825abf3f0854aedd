/*
 * link.c - see link.h.
 */
#include "xhad/move/link.h"
#include "xhad/base/cleanup.h"

#include <gnutls/gnutls.h>
#include <gnutls/socket.h>
#include <poll.h>
#include <string.h>

#define TICK_MS 100

/* The binder of an external key is made with SHA-256, which rules AES-256-GCM out. */
static const char priority[] = "NONE:+VERS-TLS1.3:+AES-128-GCM:+CHACHA20-POLY1305:+AEAD:+DHE-PSK:+ECDHE-PSK:"
                               "+GROUP-X25519:+GROUP-SECP256R1:+SIGN-RSA-PSS-RSAE-SHA256";

struct xha_link {
    int fd;
    gnutls_session_t session;
    gnutls_psk_client_credentials_t client;
    gnutls_psk_server_credentials_t server;
    char identity[XHA_IDENTITY_BYTES];
    struct xha_key key;
    bool half_sent; /* GnuTLS holds bytes of the last send */
};

/* The server is asked for the key of whoever calls: there is only one it expects. */
static int give_key(gnutls_session_t session, const char *username, gnutls_datum_t *key_r)
{
    const struct xha_link *link = gnutls_session_get_ptr(session);

    if (strcmp(username, link->identity) != 0)
        return -1;
    key_r->data = gnutls_malloc(XHA_KEY_BYTES);
    if (!key_r->data)
        return -1;
    memcpy(key_r->data, link->key.b, XHA_KEY_BYTES);
    key_r->size = XHA_KEY_BYTES;
    return 0;
}

/* 0, or GnuTLS's error. */
static int prepare(struct xha_link *link, enum xha_link_end end)
{
    const gnutls_datum_t key = { .data = link->key.b, .size = XHA_KEY_BYTES };
    const bool accepts = end == XHA_LINK_ACCEPTS;
    int r = gnutls_init(&link->session,
                        (accepts ? GNUTLS_SERVER : GNUTLS_CLIENT) | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL);

    if (r < 0)
        return r;
    gnutls_session_set_ptr(link->session, link);
    r = gnutls_priority_set_direct(link->session, priority, NULL);
    if (r == 0 && accepts) {
        r = gnutls_psk_allocate_server_credentials(&link->server);
        if (r == 0) {
            gnutls_psk_set_server_credentials_function(link->server, give_key);
            r = gnutls_credentials_set(link->session, GNUTLS_CRD_PSK, link->server);
        }
    } else if (r == 0) {
        r = gnutls_psk_allocate_client_credentials(&link->client);
        if (r == 0)
            r = gnutls_psk_set_client_credentials(link->client, link->identity, &key, GNUTLS_PSK_KEY_RAW);
        if (r == 0)
            r = gnutls_credentials_set(link->session, GNUTLS_CRD_PSK, link->client);
    }
    gnutls_transport_set_int(link->session, link->fd);
    return r;
}

static const char *handshake_error(const struct xha_link *link, int r)
{
    switch (r) {
    case GNUTLS_E_FATAL_ALERT_RECEIVED:
        return gnutls_alert_get(link->session) == GNUTLS_A_UNKNOWN_PSK_IDENTITY ||
                       gnutls_alert_get(link->session) == GNUTLS_A_DECRYPT_ERROR ||
                       gnutls_alert_get(link->session) == GNUTLS_A_ILLEGAL_PARAMETER
                   ? "the peer does not know us: another cluster key, or another move"
                   : gnutls_alert_get_name(gnutls_alert_get(link->session));
    case GNUTLS_E_RECEIVED_ILLEGAL_PARAMETER:
    case GNUTLS_E_DECRYPTION_FAILED:
    case GNUTLS_E_ERROR_IN_FINISHED_PACKET:
    case GNUTLS_E_INSUFFICIENT_CREDENTIALS:
    case GNUTLS_E_SRP_PWD_ERROR:
        return "the peer has another cluster key, or means another move";
    case GNUTLS_E_PREMATURE_TERMINATION:
    case GNUTLS_E_PULL_ERROR:
    case GNUTLS_E_PUSH_ERROR:
        return "the peer hung up";
    default:
        return gnutls_strerror(r);
    }
}

static int shake_hands(struct xha_link *link, int64_t until_ms, const struct xha_stop *stop, char *err,
                       size_t err_len)
{
    int r;

    while ((r = gnutls_handshake(link->session)) < 0) {
        struct pollfd p = { .fd = link->fd,
                            .events = gnutls_record_get_direction(link->session) ? POLLOUT : POLLIN };

        if (r != GNUTLS_E_AGAIN && gnutls_error_is_fatal(r)) {
            snprintf(err, err_len, "no TLS: %s", handshake_error(link, r));
            gnutls_alert_send_appropriate(link->session, r);
            return -1;
        }
        if (xha_stop_asked(stop) || xha_move_now_ms() >= until_ms) {
            snprintf(err, err_len, "no TLS: %s",
                     xha_stop_asked(stop) ? "told to stop" : "the peer is silent");
            return -1;
        }
        if (r == GNUTLS_E_AGAIN && poll(&p, 1, TICK_MS) < 0 && errno != EINTR) {
            snprintf(err, err_len, "no TLS: %s", strerror(errno));
            return -1;
        }
    }
    if (gnutls_auth_get_type(link->session) == GNUTLS_CRD_PSK)
        return 0;
    snprintf(err, err_len, "no TLS: the peer has not proven that it knows the cluster's key");
    return -1;
}

int xha_link_open(int fd, enum xha_link_end end, const char *identity, const struct xha_key *key,
                  int64_t until_ms, const struct xha_stop *stop, struct xha_link **link_r, char *err,
                  size_t err_len)
{
    struct xha_link *link = calloc(1, sizeof(*link));
    int r;

    if (!link) {
        close(fd);
        snprintf(err, err_len, "out of memory");
        return -1;
    }
    link->fd = fd;
    link->key = *key;
    snprintf(link->identity, sizeof(link->identity), "%s", identity);
    r = prepare(link, end);
    if (r < 0)
        snprintf(err, err_len, "no TLS: %s", gnutls_strerror(r));
    if (r < 0 || shake_hands(link, until_ms, stop, err, err_len) < 0) {
        xha_link_close(link);
        return -1;
    }
    *link_r = link;
    return 0;
}

void xha_link_close(struct xha_link *link)
{
    if (!link)
        return;
    if (link->session)
        gnutls_deinit(link->session);
    if (link->client)
        gnutls_psk_free_client_credentials(link->client);
    if (link->server)
        gnutls_psk_free_server_credentials(link->server);
    close(link->fd);
    explicit_bzero(&link->key, sizeof(link->key));
    free(link);
}

/* 0: try again later; -1 with a text. */
static ssize_t judge(ssize_t r, char *err, size_t err_len)
{
    if (r == GNUTLS_E_AGAIN || r == GNUTLS_E_INTERRUPTED ||
        (r != GNUTLS_E_REHANDSHAKE && !gnutls_error_is_fatal((int)r)))
        return 0;
    snprintf(err, err_len, "%s",
             r == GNUTLS_E_PREMATURE_TERMINATION ? "the peer hung up"
             : r == GNUTLS_E_PUSH_ERROR || r == GNUTLS_E_PULL_ERROR
                 ? (errno ? strerror(errno) : "the peer hung up")
                 : gnutls_strerror((int)r));
    return -1;
}

ssize_t xha_link_send(struct xha_link *link, const void *bytes, size_t len, char *err, size_t err_len)
{
    ssize_t r;

    errno = 0;
    if (link->half_sent)
        r = gnutls_record_send(link->session, NULL, 0);
    else
        r = gnutls_record_send(link->session, bytes, len);
    if (r > 0) {
        link->half_sent = false;
        return r;
    }
    if ((r == GNUTLS_E_AGAIN || r == GNUTLS_E_INTERRUPTED) && !xha_link_in_kernel(link))
        link->half_sent = true;
    return r == 0 ? 0 : judge(r, err, err_len);
}

ssize_t xha_link_receive(struct xha_link *link, void *bytes, size_t len, char *err, size_t err_len)
{
    ssize_t r;

    errno = 0;
    r = gnutls_record_recv(link->session, bytes, len);
    if (r > 0)
        return r;
    if (r < 0)
        return judge(r, err, err_len);
    snprintf(err, err_len, "the peer hung up");
    return -1;
}

size_t xha_link_pending(const struct xha_link *link)
{
    return gnutls_record_check_pending(link->session);
}

int xha_link_fd(const struct xha_link *link)
{
    return link->fd;
}

bool xha_link_in_kernel(const struct xha_link *link)
{
#if GNUTLS_VERSION_NUMBER >= 0x030703
    return gnutls_transport_is_ktls_enabled(link->session) != 0;
#else
    (void)link;
    return false;
#endif
}

const char *xha_link_cipher(const struct xha_link *link)
{
    return gnutls_cipher_get_name(gnutls_cipher_get(link->session));
}
