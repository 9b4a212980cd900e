// SPDX-License-Identifier: GPL-2.0-only
/* The reply to a do request. */

#include "netlink_gen.h"
#include "reply.h"

struct sk_buff *bulkdump_reply_new(struct genl_info *info, u32 size, void **hdr)
{
	struct sk_buff *skb = genlmsg_new(size, GFP_KERNEL);

	if (!skb) {
		NL_SET_ERR_MSG(info->extack, "no memory for the reply");
		return NULL;
	}
	*hdr = genlmsg_put_reply(skb, info, &bulkdump_nl_family, 0,
				 info->genlhdr->cmd);
	return skb;
}

int bulkdump_reply_send(struct sk_buff *skb, void *hdr, struct genl_info *info)
{
	genlmsg_end(skb, hdr);
	return genlmsg_reply(skb, info);
}

/*
 * Cannot happen, because the size of a reply is calculated. If a calculation is
 * wrong one day, the request fails with a warning.
 */
int bulkdump_reply_too_small(struct sk_buff *skb)
{
	WARN_ON_ONCE(1);
	nlmsg_free(skb);
	return -EMSGSIZE;
}
