// SPDX-License-Identifier: GPL-2.0-only
/* What a dump remembers between two pages: rules 3, 4, 5 and 30. */

#include <linux/ktime.h>
#include <linux/sched.h>

#include "broken.h"

/* LAST, 3: the cursor is the last record. It is found again, for ever. */
static int last_dumpit(struct sk_buff *skb, struct netlink_callback *cb)
{
	sound_dumpit(skb, cb);
	if (skb->len)
		dump_ctx(cb)->next--;
	return skb->len;
}

/* WRAP, 3: the cursor wraps at the largest key. */
static int wrap_dumpit(struct sk_buff *skb, struct netlink_callback *cb)
{
	struct dump_ctx *ctx = dump_ctx(cb);
	int err = sound_dumpit(skb, cb);

	if (ctx->next <= KEY_MAX)
		return err;
	ctx->next = 0;
	return skb->len;
}

static int put_early(struct sk_buff *skb, struct netlink_callback *cb,
		     struct object *o)
{
	int err = put_object(skb, cb, o);

	if (err)
		dump_ctx(cb)->next++;
	return err;
}

/* EARLY, 3: the cursor moves before the record is complete. */
static int early_dumpit(struct sk_buff *skb, struct netlink_callback *cb)
{
	return page(skb, cb, put_early);
}

static int put_repeat(struct sk_buff *skb, struct netlink_callback *cb,
		      struct object *o)
{
	struct dump_ctx *ctx = dump_ctx(cb);
	int err = put_object(skb, cb, o);

	if (err)
		ctx->next = ctx->inner;
	else
		ctx->inner = o->id;
	return err;
}

/* REPEAT, 3: the cursor moves too late: the last record of a page is sent twice. */
static int repeat_dumpit(struct sk_buff *skb, struct netlink_callback *cb)
{
	return page(skb, cb, put_repeat);
}

/* The objects are the children of parents that have a hundred keys each. */
static int put_inner(struct sk_buff *skb, struct netlink_callback *cb,
		     struct object *o)
{
	struct dump_ctx *ctx = dump_ctx(cb);
	int err;

	if (o->id % 100 < ctx->inner)
		return 0;
	err = put_object(skb, cb, o);
	if (err)
		ctx->inner = o->id % 100;
	return err;
}

/* INNER, 3: the inner cursor is not reset for the next parent. */
static int inner_dumpit(struct sk_buff *skb, struct netlink_callback *cb)
{
	return page(skb, cb, put_inner);
}

static int put_child(struct sk_buff *skb, const struct object *o)
{
	struct nlattr *child = nla_nest_start(skb, BROKEN_A_CHILD);

	if (!child)
		return -EMSGSIZE;
	if (put_fields(skb, o)) {
		nla_nest_cancel(skb, child);
		return -EMSGSIZE;
	}
	nla_nest_end(skb, child);
	return 0;
}

static int put_children(struct sk_buff *skb)
{
	struct nlattr *list = nla_nest_start(skb, BROKEN_A_LIST);
	struct object *o;
	unsigned long id;
	int err = 0;

	if (!list)
		return -ENOBUFS;
	xa_for_each_marked(&objects, id, o, ALIVE) {
		err = put_child(skb, o);
		if (err)
			break;
	}
	nla_nest_end(skb, list);
	return err;
}

/*
 * STUCK, 3: one parent, with all objects as its children. If they do not fit, it
 * begins anew on the next page.
 */
static int stuck_dumpit(struct sk_buff *skb, struct netlink_callback *cb)
{
	struct dump_ctx *ctx = dump_ctx(cb);
	void *hdr;
	int err;

	if (!visible(cb) || ctx->once)
		return 0;
	hdr = put_header(skb, cb);
	if (!hdr)
		return -EMSGSIZE;
	mutex_lock(&objects_lock);
	cb->seq = generation;
	err = put_children(skb);
	put_end(skb, cb, hdr, 0);
	mutex_unlock(&objects_lock);
	ctx->once = !err;
	return page_end(skb, err);
}

/* ORDER, 3: each dump begins at another record, and goes round. */
static int order_start(struct netlink_callback *cb)
{
	static atomic_t dumps;

	dump_ctx(cb)->inner = atomic_inc_return(&dumps) % 8 * 100;
	dump_ctx(cb)->next = dump_ctx(cb)->inner;
	return sound_start(cb);
}

static int order_dumpit(struct sk_buff *skb, struct netlink_callback *cb)
{
	struct dump_ctx *ctx = dump_ctx(cb);
	int err = sound_dumpit(skb, cb);

	if (err || ctx->once || !ctx->inner)
		return err;
	ctx->once = true;
	ctx->next = 0;
	ctx->last = ctx->inner - 1;
	return sound_dumpit(skb, cb);
}

/* COUNT, 4: the cursor is a count. */
static int count_dumpit(struct sk_buff *skb, struct netlink_callback *cb)
{
	struct dump_ctx *ctx = dump_ctx(cb);
	unsigned long id, nr = 0;
	struct object *o;
	int err = 0;

	if (!visible(cb))
		return 0;
	mutex_lock(&objects_lock);
	cb->seq = generation;
	xa_for_each_marked(&objects, id, o, ALIVE) {
		if (nr++ < ctx->next)
			continue;
		err = put_object(skb, cb, o);
		if (err)
			break;
		ctx->next++;
	}
	mutex_unlock(&objects_lock);
	return page_end(skb, err);
}

static unsigned long count_objects(void)
{
	unsigned long id, nr = 0;
	struct object *o;

	mutex_lock(&objects_lock);
	xa_for_each_marked(&objects, id, o, ALIVE)
		nr++;
	mutex_unlock(&objects_lock);
	return nr;
}

static int until_start(struct netlink_callback *cb)
{
	int err = sound_start(cb);

	dump_ctx(cb)->inner = count_objects();
	return err;
}

/*
 * UNTIL, 4: it ends where the table is as large as a page before. Until then, it
 * sends records without attributes.
 */
static int until_dumpit(struct sk_buff *skb, struct netlink_callback *cb)
{
	struct dump_ctx *ctx = dump_ctx(cb);
	int err = sound_dumpit(skb, cb);
	unsigned long nr = count_objects();
	bool same = nr == ctx->inner;
	void *hdr;

	ctx->inner = nr;
	if (err || same || !visible(cb))
		return err;
	if (skb->len)
		return skb->len;
	hdr = put_header(skb, cb);
	return hdr ? put_end(skb, cb, hdr, 0) ?: skb->len : -EMSGSIZE;
}

/*
 * By the clock that a reader has: mdelay() counts loops, and takes less if they were
 * measured on a busy machine.
 */
static void spend_a_millisecond(void)
{
	u64 end = ktime_get_ns() + NSEC_PER_MSEC;

	while (ktime_get_ns() < end)
		cpu_relax();
}

/*
 * SQUARE, 4: each page walks from the first object. A look at four takes a
 * millisecond, as if each had a lock.
 */
static int square_dumpit(struct sk_buff *skb, struct netlink_callback *cb)
{
	unsigned long id, next = dump_ctx(cb)->next;
	struct object *o;

	mutex_lock(&objects_lock);
	xa_for_each_range(&objects, id, o, 0, next) {
		if (id % 4 == 0)
			spend_a_millisecond();
		cond_resched();
	}
	mutex_unlock(&objects_lock);
	return sound_dumpit(skb, cb);
}

/*
 * OBJECT, 5: the cursor is the object that was sent last. If it dies, the rest is
 * missing. The pointer is only compared.
 */
static int object_dumpit(struct sk_buff *skb, struct netlink_callback *cb)
{
	struct dump_ctx *ctx = dump_ctx(cb);
	bool before = ctx->object;
	struct object *o;
	unsigned long id;
	int err = 0;

	if (!visible(cb))
		return 0;
	mutex_lock(&objects_lock);
	cb->seq = generation;
	xa_for_each_marked(&objects, id, o, ALIVE) {
		if (before) {
			before = o != ctx->object;
			continue;
		}
		err = put_object(skb, cb, o);
		if (err)
			break;
		ctx->object = o;
	}
	mutex_unlock(&objects_lock);
	return page_end(skb, err);
}

/* DEAD, 30: an object that was removed is still sent, up to the next change. */
static int dead_dumpit(struct sk_buff *skb, struct netlink_callback *cb)
{
	struct dump_ctx *ctx = dump_ctx(cb);
	struct object *o;
	int err = 0;

	if (!visible(cb))
		return 0;
	mutex_lock(&objects_lock);
	cb->seq = generation;
	for (; (o = xa_find(&objects, &ctx->next, ctx->last, XA_PRESENT)); ctx->next++) {
		err = put_object(skb, cb, o);
		if (err)
			break;
	}
	mutex_unlock(&objects_lock);
	return page_end(skb, err);
}

static const struct genl_ops ops[] = {
	DUMP(LAST, sound_start, last_dumpit),
	DUMP(WRAP, sound_start, wrap_dumpit),
	DUMP(EARLY, sound_start, early_dumpit),
	DUMP(REPEAT, sound_start, repeat_dumpit),
	DUMP(INNER, sound_start, inner_dumpit),
	DUMP(STUCK, sound_start, stuck_dumpit),
	DUMP(ORDER, order_start, order_dumpit),
	DUMP(COUNT, sound_start, count_dumpit),
	DUMP(UNTIL, until_start, until_dumpit),
	DUMP(SQUARE, sound_start, square_dumpit),
	DUMP(OBJECT, sound_start, object_dumpit),
	DUMP(DEAD, sound_start, dead_dumpit),
};

const struct broken_ops cursors_ops = { ops, ARRAY_SIZE(ops) };
