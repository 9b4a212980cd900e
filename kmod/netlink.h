/* SPDX-License-Identifier: GPL-2.0-only */
/* What the do callbacks share: replies and events. */
#ifndef BULKDUMP_NETLINK_H
#define BULKDUMP_NETLINK_H

#include <net/genetlink.h>
#include <net/sock.h>

#include "table.h"

/* The largest attribute that holds a uint: that takes 4 or 8 bytes. */
u32 bulkdump_uint_size(void);

/* An empty reply to the request, with its command, and room for @size. */
struct sk_buff *bulkdump_reply_new(struct genl_info *info, u32 size,
				   void **hdr);
int bulkdump_reply_send(struct sk_buff *skb, void *hdr, struct genl_info *info);
int bulkdump_reply_too_small(struct sk_buff *skb);

/* What a refusal names, when bulkdump_may_administer() says no. */
#define BULKDUMP_RIGHT							\
	"CAP_NET_ADMIN in the initial user namespace, or, with the module parameter userns_admin, in the one that owns the network namespace"

/* Have both the sender of the request and the opener of its socket the right? */
bool bulkdump_may_administer(const struct sk_buff *request);
/* -EPERM, with extack, for a request to change the table without it. */
int bulkdump_check_change(const struct sk_buff *request,
			  struct netlink_ext_ack *extack);

/*
 * Tell who listens, after the change can be seen and under table->lock, so
 * that events come in order of generation. If there is no memory for the
 * event, listeners learn that they lost one: their next read fails (ENOBUFS).
 */
void bulkdump_notify_entry(struct genl_info *info, u8 cmd,
			   const struct bulkdump_entry *e);
void bulkdump_notify_del(struct genl_info *info, u32 id, u64 generation);
void bulkdump_notify_fill(struct genl_info *info,
			  const struct bulkdump_fill *fill);
void bulkdump_notify_flush(struct genl_info *info, u32 count, u64 generation);

#endif /* BULKDUMP_NETLINK_H */
