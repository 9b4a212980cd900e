/* SPDX-License-Identifier: GPL-2.0-only */
/* The reply to a do request. */
#ifndef BULKDUMP_REPLY_H
#define BULKDUMP_REPLY_H

#include <net/genetlink.h>

/* An empty reply with the command of the request, and room for @size bytes. */
struct sk_buff *bulkdump_reply_new(struct genl_info *info, u32 size,
				   void **hdr);
int bulkdump_reply_send(struct sk_buff *skb, void *hdr, struct genl_info *info);
int bulkdump_reply_too_small(struct sk_buff *skb);

#endif /* BULKDUMP_REPLY_H */
