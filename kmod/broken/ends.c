// SPDX-License-Identifier: GPL-2.0-only
/* Pages and dumps that end wrongly: rules 1, 2, 20, 23 and 27. */

#include "broken.h"

/* CUT, 1: a full page ends the dump as if it were whole. */
static int cut_dumpit(struct sk_buff *skb, struct netlink_callback *cb)
{
	sound_dumpit(skb, cb);
	return 0;
}

/* ERRNO, 1: a full page ends the dump with an errno. */
static int errno_dumpit(struct sk_buff *skb, struct netlink_callback *cb)
{
	int err = sound_dumpit(skb, cb);

	return err > 0 ? -ENOBUFS : err;
}

/* Object 70 has 6000 bytes more than others. */
static int put_large(struct sk_buff *skb, struct netlink_callback *cb,
		     struct object *o)
{
	static const u8 bytes[6000];

	return o->id == 70 ?
	       put_with(skb, cb, o, BROKEN_A_BLOB, bytes, sizeof(bytes)) :
	       put_object(skb, cb, o);
}

/* LARGE, 1: a record larger than a page ends the dump as if it were whole. */
static int large_dumpit(struct sk_buff *skb, struct netlink_callback *cb)
{
	page(skb, cb, put_large);
	return skb->len;
}

static int put_one(struct sk_buff *skb, struct netlink_callback *cb,
		   struct object *o)
{
	return skb->len ? -EMSGSIZE : put_object(skb, cb, o);
}

/* ONE, 1: a page ends after each record, full or not. */
static int one_dumpit(struct sk_buff *skb, struct netlink_callback *cb)
{
	return page(skb, cb, put_one);
}

/* EMPTY, 2: an empty page in the middle. */
static int empty_dumpit(struct sk_buff *skb, struct netlink_callback *cb)
{
	struct dump_ctx *ctx = dump_ctx(cb);

	if (ctx->next && !ctx->once) {
		ctx->once = true;
		return 1;
	}
	return sound_dumpit(skb, cb);
}

/* NONE, 20: an empty table is an error. */
static int none_dumpit(struct sk_buff *skb, struct netlink_callback *cb)
{
	return sound_dumpit(skb, cb) ?: dump_ctx(cb)->next ? 0 : -ENOENT;
}

static int put_half(struct sk_buff *skb, struct netlink_callback *cb,
		    struct object *o)
{
	void *hdr = put_header(skb, cb);
	int err;

	if (!hdr)
		return -EMSGSIZE;
	err = put_fields(skb, o);
	if (err)
		return err;	/* and no genlmsg_cancel() */
	return put_end(skb, cb, hdr, 0);
}

/* HALF, 23: the record that did not fit is left in the page. */
static int half_dumpit(struct sk_buff *skb, struct netlink_callback *cb)
{
	return page(skb, cb, put_half);
}

/* DONE, 27: a DONE of its own, before the core's. */
static int done_dumpit(struct sk_buff *skb, struct netlink_callback *cb)
{
	int err = sound_dumpit(skb, cb);
	struct nlmsghdr *done;

	if (err)
		return err;
	done = nlmsg_put(skb, NETLINK_CB(cb->skb).portid, cb->nlh->nlmsg_seq,
			 NLMSG_DONE, sizeof(int), NLM_F_MULTI);
	if (done)
		*(int *)nlmsg_data(done) = 0;
	return 0;
}

/*
 * ALONE, 27: DONE never shares the last record's page. That breaks no rule by
 * itself, but programs come to rely on either (87d381973e49, 460b0d33cf10).
 */
static int alone_dumpit(struct sk_buff *skb, struct netlink_callback *cb)
{
	return sound_dumpit(skb, cb) ?: skb->len;
}

static const struct genl_ops ops[] = {
	DUMP(CUT, sound_start, cut_dumpit),
	DUMP(ERRNO, sound_start, errno_dumpit),
	DUMP(LARGE, sound_start, large_dumpit),
	DUMP(ONE, sound_start, one_dumpit),
	DUMP(EMPTY, sound_start, empty_dumpit),
	DUMP(NONE, sound_start, none_dumpit),
	DUMP(HALF, sound_start, half_dumpit),
	DUMP(DONE, sound_start, done_dumpit),
	DUMP(ALONE, sound_start, alone_dumpit),
};

const struct broken_ops ends_ops = { ops, ARRAY_SIZE(ops) };
