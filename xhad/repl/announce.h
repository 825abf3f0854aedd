/*
 * announce.h - after a takeover: the network learns at once where the guest is now.
 *
 * A guest that goes on after a takeover does not know that it moved, so its host speaks for it, by the guest's MAC: a gratuitous
 * ARP and an unsolicited neighbour advertisement for each of its addresses that is known, and always a RARP, as QEMU
 * does, which tells the switches where the MAC is. The host's own bridge is told directly. Nothing is sent to
 * the guest itself: it would take this for somebody else who has its address.
 */
#ifndef XHA_REPL_ANNOUNCE_H
#define XHA_REPL_ANNOUNCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define XHA_ANNOUNCE_FRAME 96 /* room for any of them */

/* The frames, ready to be sent. Each returns its length. */
size_t xha_announce_rarp(uint8_t frame_r[XHA_ANNOUNCE_FRAME], const uint8_t mac[6]);
size_t xha_announce_arp(uint8_t frame_r[XHA_ANNOUNCE_FRAME], const uint8_t mac[6], const uint8_t ip[4]);
size_t xha_announce_na(uint8_t frame_r[XHA_ANNOUNCE_FRAME], const uint8_t mac[6], const uint8_t ip6[16]);

/* "00:16:3e:01:02:03", of one station: no group, not zero. */
bool xha_announce_mac_parse(const char *text, uint8_t mac_r[6]);

struct xha_announce_address {
    bool is_ip6;
    uint8_t ip[16]; /* 4 of it for IPv4 */
};

/* An address of a station, "10.0.0.7" or "fd00::7". */
bool xha_announce_address_parse(const char *text, struct xha_announce_address *address_r);

/*
 * Tells the bridge that vif is in, and announces through the bridge's other ports. Frames get lost: call it a few times,
 * 50 ms apart and more. How many frames were sent in *frames_r. -1 with a text in err: the vif is in no bridge (the text
 * says so), or nothing could be sent.
 */
int xha_announce(const char *vif, const uint8_t mac[6], const struct xha_announce_address *addresses,
                 size_t n, unsigned *frames_r, char *err, size_t err_len);

#endif
