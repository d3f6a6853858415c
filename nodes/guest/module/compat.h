/* SPDX-License-Identifier: GPL-2.0 */
/* What differs between the kernels that this module is for; Kbuild says which one it is. */
#ifndef CB_COMPAT_H
#define CB_COMPAT_H

#include <linux/mmzone.h>
#include <linux/skbuff.h>

/* Mainline 6.10 took the flags away: always GFP_ATOMIC, which may draw on the reserve. */
static inline struct sk_buff *cb_napi_alloc_skb(struct napi_struct *napi, unsigned int len,
						gfp_t gfp)
{
#ifdef CB_NAPI_ALLOC_TAKES_GFP
	return __napi_alloc_skb(napi, len, gfp);
#else
	return napi_alloc_skb(napi, len);
#endif
}

/* Since mainline 6.7 the length of a per-CPU list tunes itself between two bounds. */
#ifdef CB_PCP_TUNES_ITSELF
static inline void cb_pcp_set(struct per_cpu_pages *pcp, int high_min, int high_max, int batch)
{
	WRITE_ONCE(pcp->high, high_min);
	WRITE_ONCE(pcp->high_min, high_min);
	WRITE_ONCE(pcp->high_max, high_max);
	WRITE_ONCE(pcp->batch, batch);
}

static inline void cb_pcp_restore(struct per_cpu_pages *pcp, struct zone *zone)
{
	cb_pcp_set(pcp, zone->pageset_high_min, zone->pageset_high_max, zone->pageset_batch);
}
#else
static inline void cb_pcp_set(struct per_cpu_pages *pcp, int high_min, int high_max, int batch)
{
	WRITE_ONCE(pcp->high, high_min);
	WRITE_ONCE(pcp->batch, batch);
}

static inline void cb_pcp_restore(struct per_cpu_pages *pcp, struct zone *zone)
{
	cb_pcp_set(pcp, zone->pageset_high, zone->pageset_high, zone->pageset_batch);
}
#endif

#endif
