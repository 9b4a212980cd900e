// SPDX-License-Identifier: GPL-2.0-only
/* Changes that are not told, or told where there was none: rule 8. */

#include <linux/jiffies.h>

#include "broken.h"

/* Does not note the generation: each bug has one of its own. */
static int changes_start(struct netlink_callback *cb)
{
	sound_start(cb);
	cb->prev_seq = 0;
	return 0;
}

/* NEVER, 8: no change is told. */
static int never_dumpit(struct sk_buff *skb, struct netlink_callback *cb)
{
	static const u32 none;

	return page_of(skb, cb, &none);
}

/* ALWAYS, 8: a change is told where there was none. */
static int always_dumpit(struct sk_buff *skb, struct netlink_callback *cb)
{
	u32 pages = ++dump_ctx(cb)->inner;

	return page_of(skb, cb, &pages);
}

/* Is there room for it? */
static int put_cancel(struct sk_buff *skb, struct netlink_callback *cb,
		      struct object *o)
{
	void *hdr = put_header(skb, cb);
	int err;

	if (!hdr)
		return -EMSGSIZE;
	genl_dump_check_consistent(cb, hdr);
	err = put_fields(skb, o);
	genlmsg_cancel(skb, hdr);
	return err ?: put_object(skb, cb, o);
}

/* CANCEL, 8: the mark is on a message that is cancelled. */
static int cancel_dumpit(struct sk_buff *skb, struct netlink_callback *cb)
{
	return page(skb, cb, put_cancel);
}

/* INPLACE, 8: a change of a record in place is not told. */
static int inplace_dumpit(struct sk_buff *skb, struct netlink_callback *cb)
{
	return page_of(skb, cb, &generation_of_list);
}

/* TAIL, 8: the generation is noted when a page is full, and not before it. */
static int tail_start(struct netlink_callback *cb)
{
	sound_start(cb);
	cb->seq = cb->prev_seq;
	return 0;
}

static int tail_dumpit(struct sk_buff *skb, struct netlink_callback *cb)
{
	u32 seq = cb->seq;
	int err = page_of(skb, cb, &seq);

	if (err > 0)
		cb->seq = READ_ONCE(generation);
	return err;
}

/*
 * XOR, 8: two counters cancel out if an object comes and another goes. In the
 * kernel they were XORed (081a0e3b0d4c), which cancels for some numbers only.
 */
static int xor_dumpit(struct sk_buff *skb, struct netlink_callback *cb)
{
	return page_of(skb, cb, &generation_of_two);
}

/* LATE, 8: the generation rises half a second after the change. */
static int late_dumpit(struct sk_buff *skb, struct netlink_callback *cb)
{
	static u32 late = 1;

	if (time_after(jiffies, READ_ONCE(changed) + HZ / 2))
		WRITE_ONCE(late, READ_ONCE(generation));
	return page_of(skb, cb, &late);
}

static const struct genl_ops ops[] = {
	DUMP(NEVER, changes_start, never_dumpit),
	DUMP(ALWAYS, changes_start, always_dumpit),
	DUMP(CANCEL, sound_start, cancel_dumpit),
	DUMP(INPLACE, changes_start, inplace_dumpit),
	DUMP(TAIL, tail_start, tail_dumpit),
	DUMP(XOR, changes_start, xor_dumpit),
	DUMP(LATE, changes_start, late_dumpit),
};

const struct broken_ops changes_ops = { ops, ARRAY_SIZE(ops) };
