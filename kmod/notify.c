// SPDX-License-Identifier: GPL-2.0-only
/* The events of group "entries". */

#include "fill.h"
#include "netlink_gen.h"
#include "notify.h"

/* NULL if nobody listens, or if there is no memory. */
static struct sk_buff *event_new(struct genl_info *info, u32 size)
{
	struct net *net = genl_info_net(info);
	struct sk_buff *skb;

	/* A request with NLM_F_ECHO gets the event without listening. */
	if (!genl_has_listeners(&bulkdump_nl_family, net,
				BULKDUMP_NLGRP_ENTRIES) &&
	    !nlmsg_report(info->nlhdr))
		return NULL;
	skb = genlmsg_new(size, GFP_KERNEL);
	if (!skb)
		genl_set_err(&bulkdump_nl_family, net, 0,
			     BULKDUMP_NLGRP_ENTRIES, -ENOBUFS);
	return skb;
}

/* @err is that of the attributes. The size was calculated, so it is 0. */
static void event_send(struct sk_buff *skb, struct genl_info *info, int err)
{
	if (WARN_ON_ONCE(err))
		nlmsg_free(skb);
	else
		genl_notify(&bulkdump_nl_family, skb, info,
			    BULKDUMP_NLGRP_ENTRIES, GFP_KERNEL);
}

void bulkdump_notify_entry(struct genl_info *info, u8 cmd,
			   const struct bulkdump_entry *e)
{
	struct sk_buff *skb;

	skb = event_new(info, bulkdump_record_size(e->name_len, e->payload_len));
	if (skb)
		event_send(skb, info,
			   bulkdump_entry_fill(skb, cmd, info, NULL, e,
					       BULKDUMP_FIELDS_ALL));
}

static void event_end(struct sk_buff *skb, struct genl_info *info, void *hdr,
		      int err)
{
	genlmsg_end(skb, hdr);
	event_send(skb, info, err);
}

void bulkdump_notify_del(struct genl_info *info, u32 id, u64 generation)
{
	struct sk_buff *skb = event_new(info, 2 * bulkdump_uint_size());
	void *hdr;

	if (!skb)
		return;
	hdr = bulkdump_entry_header(skb, BULKDUMP_CMD_ENTRY_DEL_NTF, info, NULL);
	event_end(skb, info, hdr,
		  nla_put_u32(skb, BULKDUMP_A_ENTRY_ID, id) ?:
		  nla_put_uint(skb, BULKDUMP_A_ENTRY_GENERATION, generation));
}

void bulkdump_notify_synthetic(struct genl_info *info,
			       const struct bulkdump_synthetic *synthetic)
{
	struct sk_buff *skb = event_new(info, 4 * bulkdump_uint_size());
	void *hdr;

	if (!skb)
		return;
	hdr = bulkdump_entry_header(skb, BULKDUMP_CMD_TABLE_FILL_NTF, info, NULL);
	event_end(skb, info, hdr,
		  nla_put_u32(skb, BULKDUMP_A_FILL_COUNT, synthetic->count) ?:
		  nla_put_u32(skb, BULKDUMP_A_FILL_ID_START, synthetic->id_start) ?:
		  nla_put_u32(skb, BULKDUMP_A_FILL_ID_STRIDE, synthetic->id_stride) ?:
		  nla_put_uint(skb, BULKDUMP_A_FILL_GENERATION, synthetic->generation));
}

void bulkdump_notify_flush(struct genl_info *info, u32 count, u64 generation)
{
	struct sk_buff *skb = event_new(info, 2 * bulkdump_uint_size());
	void *hdr;

	if (!skb)
		return;
	hdr = bulkdump_entry_header(skb, BULKDUMP_CMD_TABLE_FLUSH_NTF, info, NULL);
	event_end(skb, info, hdr,
		  nla_put_uint(skb, BULKDUMP_A_TABLE_COUNT, count) ?:
		  nla_put_uint(skb, BULKDUMP_A_TABLE_GENERATION, generation));
}
