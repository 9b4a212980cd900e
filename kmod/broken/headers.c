// SPDX-License-Identifier: GPL-2.0-only
/* Wrong headers of records: rules 9, 19 and 26. */

#include "broken.h"

static int put_as(struct sk_buff *skb, struct netlink_callback *cb,
		  struct object *o, u32 portid, u32 seq, int flags, u8 cmd)
{
	void *hdr = genlmsg_put(skb, portid, seq, &broken_family, flags, cmd);

	return hdr ? put_end(skb, cb, hdr, put_fields(skb, o)) : -EMSGSIZE;
}

static int put_single(struct sk_buff *skb, struct netlink_callback *cb,
		      struct object *o)
{
	return put_as(skb, cb, o, NETLINK_CB(cb->skb).portid,
		      cb->nlh->nlmsg_seq, 0, dump_cmd(cb));
}

/* SINGLE, 9: no NLM_F_MULTI. */
static int single_dumpit(struct sk_buff *skb, struct netlink_callback *cb)
{
	return page(skb, cb, put_single);
}

static int put_other(struct sk_buff *skb, struct netlink_callback *cb,
		     struct object *o)
{
	return put_as(skb, cb, o, NETLINK_CB(cb->skb).portid,
		      cb->nlh->nlmsg_seq, NLM_F_MULTI, BROKEN_CMD_NEW);
}

/* OTHER, 19: records with another command than the request. */
static int other_dumpit(struct sk_buff *skb, struct netlink_callback *cb)
{
	return page(skb, cb, put_other);
}

static int put_seq(struct sk_buff *skb, struct netlink_callback *cb,
		   struct object *o)
{
	return put_as(skb, cb, o, NETLINK_CB(cb->skb).portid, 0, NLM_F_MULTI,
		      dump_cmd(cb));
}

/* SEQ, 26: another sequence number than the request's. */
static int seq_dumpit(struct sk_buff *skb, struct netlink_callback *cb)
{
	return page(skb, cb, put_seq);
}

static int put_port(struct sk_buff *skb, struct netlink_callback *cb,
		    struct object *o)
{
	return put_as(skb, cb, o, 0, cb->nlh->nlmsg_seq, NLM_F_MULTI,
		      dump_cmd(cb));
}

/* PORT, 26: another port id than the socket's. */
static int port_dumpit(struct sk_buff *skb, struct netlink_callback *cb)
{
	return page(skb, cb, put_port);
}

static const struct genl_ops ops[] = {
	DUMP(SINGLE, sound_start, single_dumpit),
	DUMP(OTHER, sound_start, other_dumpit),
	DUMP(SEQ, sound_start, seq_dumpit),
	DUMP(PORT, sound_start, port_dumpit),
};

const struct broken_ops headers_ops = { ops, ARRAY_SIZE(ops) };
