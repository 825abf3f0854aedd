/*
 * stream.h - the format of libxl's streams of a domain, as far as they are looked into here.
 *
 * From tools/libs/light/libxl_sr_stream_format.h and tools/libs/guest/xg_sr_stream_format.h of Xen, which installs neither.
 */
#ifndef XHA_MOVE_STREAM_H
#define XHA_MOVE_STREAM_H

/* libxl's */
#define XL_IDENT              0x4c6962786c466d74ULL
#define XL_VERSION            2u
#define XL_OPTIONS_PLAIN      0u
#define XL_REC_END            0u
#define XL_REC_LIBXC_CONTEXT  1u
#define XL_REC_CHECKPOINT_END 4u

/* libxc's, within */
#define XC_MARKER         0xffffffffffffffffULL
#define XC_ID             0x58454e46u
#define XC_VERSION_FIRST  2u
#define XC_VERSION_LAST   3u
#define XC_REC_END        0u
#define XC_REC_PAGE_DATA  1u
#define XC_REC_CHECKPOINT 14u
#define XC_REC_MAX        (128u << 20)
#define XC_PFN_MASK       0x000fffffffffffffULL
#define XC_TYPE_EMPTY     0xdu /* from here on a pfn's type says that it has no page in the stream */

#endif
