// SPDX-License-Identifier: GPL-2.0-only
/* The events of group "entries". */

#include <net/genetlink.h>

#include "dump.h"
#include "netlink.h"
#include "netlink_gen.h"

/* NULL if nobody wants to know, or if there is no memory. */
static struct sk_buff *event_new(struct genl_info *info, u8 cmd, u32 size,
				 void **hdr)
{
	struct net *net = genl_info_net(info);
	struct sk_buff *skb;

	/* A request with NLM_F_ECHO gets the event without listening. */
	if (!genl_has_listeners(&bulkdump_nl_family, net,
				BULKDUMP_NLGRP_ENTRIES) &&
	    !nlmsg_report(info->nlhdr))
		return NULL;
	skb = genlmsg_new(size, GFP_KERNEL);
	if (!skb) {
		genl_set_err(&bulkdump_nl_family, net, 0,
			     BULKDUMP_NLGRP_ENTRIES, -ENOBUFS);
		return NULL;
	}
	*hdr = genlmsg_put(skb, info->snd_portid, info->snd_seq,
			   &bulkdump_nl_family, 0, cmd);
	return skb;
}

/* @err is of the attributes: their room is calculated, so there is none. */
static void event_send(struct sk_buff *skb, void *hdr, struct genl_info *info,
		       int err)
{
	if (WARN_ON_ONCE(err)) {
		nlmsg_free(skb);
		return;
	}
	genlmsg_end(skb, hdr);
	genl_notify(&bulkdump_nl_family, skb, info, BULKDUMP_NLGRP_ENTRIES,
		    GFP_KERNEL);
}

void bulkdump_notify_entry(struct genl_info *info, u8 cmd,
			   const struct bulkdump_entry *e)
{
	struct sk_buff *skb;
	void *hdr;

	skb = event_new(info, cmd,
			bulkdump_record_size(e->name_len, e->payload_len), &hdr);
	if (skb)
		event_send(skb, hdr, info,
			   bulkdump_entry_fill(skb, e, BULKDUMP_FIELDS_ALL));
}

void bulkdump_notify_del(struct genl_info *info, u32 id, u64 generation)
{
	struct sk_buff *skb;
	void *hdr;
	int err;

	skb = event_new(info, BULKDUMP_CMD_ENTRY_DEL_NTF,
			2 * bulkdump_uint_size(), &hdr);
	if (!skb)
		return;
	err = nla_put_u32(skb, BULKDUMP_A_ENTRY_ID, id) ||
	      nla_put_uint(skb, BULKDUMP_A_ENTRY_GENERATION, generation);
	event_send(skb, hdr, info, err);
}

void bulkdump_notify_fill(struct genl_info *info,
			  const struct bulkdump_fill *fill)
{
	struct sk_buff *skb;
	void *hdr;
	int err;

	skb = event_new(info, BULKDUMP_CMD_TABLE_FILL_NTF,
			4 * bulkdump_uint_size(), &hdr);
	if (!skb)
		return;
	err = nla_put_u32(skb, BULKDUMP_A_FILL_COUNT, fill->count) ||
	      nla_put_u32(skb, BULKDUMP_A_FILL_ID_START, fill->id_start) ||
	      nla_put_u32(skb, BULKDUMP_A_FILL_ID_STRIDE, fill->id_stride) ||
	      nla_put_uint(skb, BULKDUMP_A_FILL_GENERATION, fill->generation);
	event_send(skb, hdr, info, err);
}

void bulkdump_notify_flush(struct genl_info *info, u32 count, u64 generation)
{
	struct sk_buff *skb;
	void *hdr;
	int err;

	skb = event_new(info, BULKDUMP_CMD_TABLE_FLUSH_NTF,
			2 * bulkdump_uint_size(), &hdr);
	if (!skb)
		return;
	err = nla_put_uint(skb, BULKDUMP_A_TABLE_COUNT, count) ||
	      nla_put_uint(skb, BULKDUMP_A_TABLE_GENERATION, generation);
	event_send(skb, hdr, info, err);
}
