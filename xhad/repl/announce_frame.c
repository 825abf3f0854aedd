/*
 * announce_frame.c - the frames of announce.h. Pure.
 */
#include "xhad/repl/announce.h"

#include <arpa/inet.h>
#include <net/if_arp.h>
#include <netinet/icmp6.h>
#include <netinet/if_ether.h>
#include <stdio.h>
#include <string.h>

#define FRAME_MIN   60 /* without the checksum */
#define OP_RARP_ASK 3
#define OP_ARP_ASK  1
#define NA_BYTES    32 /* the advertisement with its option */
#define IP6_HEAD    40
#define ETHERTYPE_R 0x8035

static const uint8_t everybody[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
static const uint8_t all_nodes_mac[6] = { 0x33, 0x33, 0, 0, 0, 1 };
static const uint8_t all_nodes[16] = { 0xff, 0x02, [15] = 1 };

static uint8_t *put(uint8_t *at, const void *bytes, size_t n)
{
    memcpy(at, bytes, n);
    return at + n;
}

static uint8_t *put16(uint8_t *at, uint16_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
    return at + 2;
}

static uint8_t *put_head(uint8_t *frame, const uint8_t to[6], const uint8_t from[6], uint16_t type)
{
    memset(frame, 0, XHA_ANNOUNCE_FRAME);
    return put16(put(put(frame, to, 6), from, 6), type);
}

/* ARP and RARP are of one form. */
static size_t arp_like(uint8_t *frame, uint16_t type, uint16_t op, const uint8_t mac[6],
                       const uint8_t target_mac[6], const uint8_t ip[4])
{
    uint8_t *at = put_head(frame, everybody, mac, type);

    at = put16(put16(at, ARPHRD_ETHER), ETHERTYPE_IP);
    *at++ = 6;
    *at++ = 4;
    at = put16(at, op);
    at = put(put(at, mac, 6), ip, 4);
    put(put(at, target_mac, 6), ip, 4);
    return FRAME_MIN;
}

size_t xha_announce_rarp(uint8_t frame_r[XHA_ANNOUNCE_FRAME], const uint8_t mac[6])
{
    static const uint8_t none[4];

    return arp_like(frame_r, ETHERTYPE_R, OP_RARP_ASK, mac, mac, none);
}

size_t xha_announce_arp(uint8_t frame_r[XHA_ANNOUNCE_FRAME], const uint8_t mac[6], const uint8_t ip[4])
{
    static const uint8_t nobody[6];

    return arp_like(frame_r, ETHERTYPE_ARP, OP_ARP_ASK, mac, nobody, ip);
}

/* ---- the neighbour advertisement ---- */

static uint32_t add16(uint32_t sum, const uint8_t *bytes, size_t n)
{
    for (size_t i = 0; i + 1 < n; i += 2)
        sum += (uint32_t)bytes[i] << 8 | bytes[i + 1];
    return sum;
}

/* Over the pseudo header (addresses, length, next header) and the message; all lengths are even. */
static uint16_t checksum(const uint8_t from[16], const uint8_t to[16], const uint8_t *message, size_t n)
{
    uint32_t sum = add16(add16(add16(0, from, 16), to, 16), message, n) + (uint32_t)n + IPPROTO_ICMPV6;

    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)~sum;
}

size_t xha_announce_na(uint8_t frame_r[XHA_ANNOUNCE_FRAME], const uint8_t mac[6], const uint8_t ip6[16])
{
    uint8_t *const ip = put_head(frame_r, all_nodes_mac, mac, ETHERTYPE_IPV6);
    uint8_t *const message = ip + IP6_HEAD;

    ip[0] = 6 << 4;
    put16(ip + 4, NA_BYTES);
    ip[6] = IPPROTO_ICMPV6;
    ip[7] = 255; /* proof that no router passed it on */
    put(put(ip + 8, ip6, 16), all_nodes, 16);
    message[0] = ND_NEIGHBOR_ADVERT;
    message[4] = 0x20; /* override what you knew */
    put(message + 8, ip6, 16);
    message[24] = ND_OPT_TARGET_LINKADDR;
    message[25] = 1; /* of eight bytes */
    put(message + 26, mac, 6);
    put16(message + 2, checksum(ip6, all_nodes, message, NA_BYTES));
    return ETH_HLEN + IP6_HEAD + NA_BYTES;
}

/* ---- texts ---- */

bool xha_announce_mac_parse(const char *text, uint8_t mac_r[6])
{
    static const uint8_t none[6];
    int used = 0;

    if (strlen(text) != 17 || strspn(text, "0123456789abcdefABCDEF:") != 17 ||
        sscanf(text, "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx%n", &mac_r[0], &mac_r[1], &mac_r[2], &mac_r[3],
               &mac_r[4], &mac_r[5], &used) != 6 ||
        used != 17)
        return false;
    return !(mac_r[0] & 1) && memcmp(mac_r, none, 6) != 0;
}

bool xha_announce_address_parse(const char *text, struct xha_announce_address *address_r)
{
    struct xha_announce_address a = { 0 };
    static const uint8_t none[16];

    a.is_ip6 = strchr(text, ':') != NULL;
    if (inet_pton(a.is_ip6 ? AF_INET6 : AF_INET, text, a.ip) != 1 || memcmp(a.ip, none, 16) == 0 ||
        (a.is_ip6 ? a.ip[0] == 0xff : a.ip[0] >= 224))
        return false;
    *address_r = a;
    return true;
}
