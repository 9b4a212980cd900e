// SPDX-License-Identifier: GPL-2.0-only
/* Wrong attributes of records: rules 14, 21, 23, 25 and 29. */

#include <linux/random.h>
#include <linux/slab.h>

#include "broken.h"

static int put_nest(struct sk_buff *skb, struct netlink_callback *cb,
		    struct object *o)
{
	static const u8 bytes[33000];
	struct nlattr *list;
	void *hdr;

	if (o->id)
		return put_object(skb, cb, o);
	hdr = put_header(skb, cb);
	if (!hdr)
		return -EMSGSIZE;
	list = nla_nest_start(skb, BROKEN_A_LIST);
	if (!list || nla_put(skb, BROKEN_A_BLOB, sizeof(bytes), bytes) ||
	    nla_put(skb, BROKEN_A_BLOB, sizeof(bytes), bytes))
		return put_end(skb, cb, hdr, -EMSGSIZE);
	/* By hand, because nla_nest_end() warns on debug kernels. */
	list->nla_len = skb_tail_pointer(skb) - (unsigned char *)list;
	return put_end(skb, cb, hdr, put_fields(skb, o));
}

/* NEST, 14: the first record has a nest of more than 64 KiB. */
static int nest_start(struct netlink_callback *cb)
{
	cb->min_dump_alloc = 68 << 10;
	return sound_start(cb);
}

static int nest_dumpit(struct sk_buff *skb, struct netlink_callback *cb)
{
	return page(skb, cb, put_nest);
}

static int put_bytes(struct sk_buff *skb, struct netlink_callback *cb,
		     struct object *o)
{
	struct { u8 used[2], left[2]; } bytes = { .used = { o->value, 1 } };

	get_random_bytes(bytes.left, sizeof(bytes.left));
	return put_with(skb, cb, o, BROKEN_A_BLOB, &bytes, sizeof(bytes));
}

/* BYTES, 21: a field that is not initialised. Its bytes are random. */
static int bytes_dumpit(struct sk_buff *skb, struct netlink_callback *cb)
{
	return page(skb, cb, put_bytes);
}

static int put_padding(struct sk_buff *skb, struct netlink_callback *cb,
		       struct object *o)
{
	int err = put_with(skb, cb, o, BROKEN_A_BLOB, "12345", 5);

	if (!err)
		memset(skb_tail_pointer(skb) - 3, 0x5a, 3);
	return err;
}

/* PADDING, 21: padding that is not 0. */
static int padding_dumpit(struct sk_buff *skb, struct netlink_callback *cb)
{
	return page(skb, cb, put_padding);
}

static int put_length(struct sk_buff *skb, struct netlink_callback *cb,
		      struct object *o)
{
	int err = put_with(skb, cb, o, BROKEN_A_BLOB, "1234", 4);
	struct nlattr *last = (struct nlattr *)skb_tail_pointer(skb) - 2;

	if (!err)
		last->nla_len += 4;
	return err;
}

/* LENGTH, 23: an attribute that ends behind its message. */
static int length_dumpit(struct sk_buff *skb, struct netlink_callback *cb)
{
	return page(skb, cb, put_length);
}

static int put_text(struct sk_buff *skb, struct netlink_callback *cb,
		    struct object *o)
{
	void *hdr = put_header(skb, cb);

	if (!hdr)
		return -EMSGSIZE;
	return put_end(skb, cb, hdr,
		       nla_put_u32(skb, BROKEN_A_ID, o->id) ?:
		       nla_put_u32(skb, BROKEN_A_VALUE, o->value) ?:
		       nla_put(skb, BROKEN_A_NAME, 6, "object"));
}

/* TEXT, 23: a string without its NUL. */
static int text_dumpit(struct sk_buff *skb, struct netlink_callback *cb)
{
	return page(skb, cb, put_text);
}

static int put_twice(struct sk_buff *skb, struct netlink_callback *cb,
		     struct object *o)
{
	return put_with(skb, cb, o, BROKEN_A_VALUE, &o->value, sizeof(o->value));
}

/* TWICE, 23: an attribute comes twice. */
static int twice_dumpit(struct sk_buff *skb, struct netlink_callback *cb)
{
	return page(skb, cb, put_twice);
}

static int put_reset(struct sk_buff *skb, struct netlink_callback *cb,
		     struct object *o)
{
	int err = put_with(skb, cb, o, BROKEN_A_EVENTS, &o->events,
			   sizeof(o->events));

	if (!err)
		o->events = 0;
	return err;
}

/* RESET, 25: reading resets what is read. */
static int reset_dumpit(struct sk_buff *skb, struct netlink_callback *cb)
{
	return page(skb, cb, put_reset);
}

/* TALLY: 256 parents, each with the objects of a hundred keys as its children. */
#define PARENTS 256

static unsigned long last_child(u32 parent)
{
	return parent * 100 + 99;
}

/* Counts the children of a parent, and puts them if there is a page. */
static int put_parent(struct sk_buff *skb, u32 parent, u32 *count)
{
	unsigned long id;
	struct object *o;

	*count = 0;
	for (id = parent * 100;
	     (o = xa_find(&objects, &id, last_child(parent), ALIVE)); id++) {
		if (skb && nla_put_u32(skb, BROKEN_A_ID, o->id))
			return -EMSGSIZE;
		++*count;
	}
	return 0;
}

static int put_tally(struct sk_buff *skb, struct netlink_callback *cb,
		     u32 parent, u32 count)
{
	void *hdr = put_header(skb, cb);
	struct nlattr *list;
	int err;

	if (!hdr)
		return -EMSGSIZE;
	err = nla_put_u32(skb, BROKEN_A_ID, parent) ?:
	      nla_put_u32(skb, BROKEN_A_COUNT, count);
	list = err ? NULL : nla_nest_start(skb, BROKEN_A_LIST);
	if (!list)
		return put_end(skb, cb, hdr, -EMSGSIZE);
	err = put_parent(skb, parent, &count);
	nla_nest_end(skb, list);
	return put_end(skb, cb, hdr, err);
}

/* TALLY, 29: children are counted in start(), and filled in later. */
static int tally_start(struct netlink_callback *cb)
{
	u32 *counts = kcalloc(PARENTS, sizeof(*counts), GFP_KERNEL);
	u32 parent;

	if (!counts)
		return -ENOMEM;
	mutex_lock(&objects_lock);
	for (parent = 0; parent < PARENTS; parent++)
		put_parent(NULL, parent, &counts[parent]);
	mutex_unlock(&objects_lock);
	dump_ctx(cb)->object = counts;
	return sound_start(cb);
}

static int tally_dumpit(struct sk_buff *skb, struct netlink_callback *cb)
{
	struct dump_ctx *ctx = dump_ctx(cb);
	const u32 *counts = ctx->object;
	int err = 0;

	if (!visible(cb))
		return 0;
	mutex_lock(&objects_lock);
	cb->seq = generation;
	for (; ctx->next < PARENTS; ctx->next++) {
		if (!counts[ctx->next])
			continue;
		err = put_tally(skb, cb, ctx->next, counts[ctx->next]);
		if (err)
			break;
	}
	mutex_unlock(&objects_lock);
	return page_end(skb, err);
}

static int tally_done(struct netlink_callback *cb)
{
	kfree(dump_ctx(cb)->object);
	return 0;
}

/* The address of an object has 4, 6 or 8 bytes. */
static int fill_address(struct sk_buff *skb, const struct object *o)
{
	u8 address[8];

	memset(address, o->id, sizeof(address));
	return put_fields(skb, o) ?:
	       nla_put(skb, BROKEN_A_ADDRESS, 4 + o->id / 10 % 3 * 2, address);
}

static int put_fixed(struct sk_buff *skb, struct netlink_callback *cb,
		     struct object *o)
{
	u8 address[8] = {};

	memset(address, o->id, 4 + o->id / 10 % 3 * 2);
	return put_with(skb, cb, o, BROKEN_A_ADDRESS, address, 6);
}

/* FIXED, 29: an address has 6 bytes, however long it is. Its do has it whole. */
static int fixed_dumpit(struct sk_buff *skb, struct netlink_callback *cb)
{
	return page(skb, cb, put_fixed);
}

static int fixed_doit(struct sk_buff *skb, struct genl_info *info)
{
	return reply_object(info, 256, fill_address);
}

/* SMALL, 29: the do's reply is too small for the longest name. */
static int small_doit(struct sk_buff *skb, struct genl_info *info)
{
	return reply_object(info, 2 * nla_total_size(sizeof(u32)) +
				  nla_total_size(sizeof("object-12345")),
			    put_fields);
}

static int put_drop(struct sk_buff *skb, struct netlink_callback *cb,
		    struct object *o)
{
	void *hdr = put_header(skb, cb);
	int err;

	if (!hdr)
		return -EMSGSIZE;
	err = nla_put_u32(skb, BROKEN_A_ID, o->id);
	nla_put_u32(skb, BROKEN_A_VALUE, o->value);
	return put_end(skb, cb, hdr, err);
}

/* DROP, 23: an attribute that does not fit is left out. */
static int drop_dumpit(struct sk_buff *skb, struct netlink_callback *cb)
{
	return page(skb, cb, put_drop);
}

static const struct genl_ops ops[] = {
	DUMP(NEST, nest_start, nest_dumpit),
	DUMP(BYTES, sound_start, bytes_dumpit),
	DUMP(PADDING, sound_start, padding_dumpit),
	DUMP(LENGTH, sound_start, length_dumpit),
	DUMP(TEXT, sound_start, text_dumpit),
	DUMP(TWICE, sound_start, twice_dumpit),
	DUMP(RESET, sound_start, reset_dumpit),
	DUMP(TALLY, tally_start, tally_dumpit, .done = tally_done),
	DUMP(FIXED, sound_start, fixed_dumpit,
	     .doit = fixed_doit, TAKES(id_policy)),
	DUMP(SMALL, sound_start, sound_dumpit,
	     .doit = small_doit, TAKES(id_policy)),
	DUMP(DROP, sound_start, drop_dumpit),
};

const struct broken_ops attributes_ops = { ops, ARRAY_SIZE(ops) };
