// SPDX-License-Identifier: GPL-2.0-only
/* Requests that are taken wrongly, or not answered: rules 10, 11, 16, 24 and 28. */

#include <linux/delay.h>
#include <linux/random.h>

#include "broken.h"

/* No bug: a filter. */
static int from_start(struct netlink_callback *cb)
{
	const struct nlattr *from = dump_attr(cb, BROKEN_A_FROM);

	sound_start(cb);
	if (from) {
		dump_ctx(cb)->next = nla_get_u32(from);
		cb->answer_flags |= NLM_F_DUMP_FILTERED;
	}
	return 0;
}

/* MUTE, 11: any attribute is refused, and no text says why. */
static int mute_start(struct netlink_callback *cb)
{
	return nlmsg_attrlen(cb->nlh, GENL_HDRLEN) ? -EINVAL : sound_start(cb);
}

/* UNTOLD, 10: a filter is applied without NLM_F_DUMP_FILTERED. */
static int untold_start(struct netlink_callback *cb)
{
	from_start(cb);
	cb->answer_flags = 0;
	return 0;
}

/* PARTLY, 10: NLM_F_DUMP_FILTERED is on the records, not on DONE. */
static int partly_dumpit(struct sk_buff *skb, struct netlink_callback *cb)
{
	u16 flags = cb->answer_flags;
	int err = sound_dumpit(skb, cb);

	cb->answer_flags = err > 0 ? flags : 0;
	return err;
}

/* AGAIN, 10: a filter is applied to each page: the dump never ends. */
static int again_dumpit(struct sk_buff *skb, struct netlink_callback *cb)
{
	const struct nlattr *from = dump_attr(cb, BROKEN_A_FROM);

	if (from)
		dump_ctx(cb)->next = nla_get_u32(from);
	return sound_dumpit(skb, cb);
}

/* INSIDE, 11: any attribute is accepted inside a nest. */
static int inside_start(struct netlink_callback *cb)
{
	const struct nlattr *where = dump_attr(cb, BROKEN_A_WHERE), *from;

	sound_start(cb);
	if (!where)
		return 0;
	from = nla_find(nla_data(where), nla_len(where), BROKEN_A_FROM);
	if (from && nla_len(from) == sizeof(u32))
		dump_ctx(cb)->next = nla_get_u32(from);
	cb->answer_flags |= NLM_F_DUMP_FILTERED;
	return 0;
}

/* SLEEP, 16: a filtered scan takes three seconds, and does not look for a signal. */
static int sleep_dumpit(struct sk_buff *skb, struct netlink_callback *cb)
{
	struct dump_ctx *ctx = dump_ctx(cb);

	if (!ctx->once && dump_attr(cb, BROKEN_A_FROM))
		msleep(3000);
	ctx->once = true;
	return sound_dumpit(skb, cb);
}

/*
 * WAITS, 28: the second page waits for what never comes: two minutes here, or until a
 * signal.
 */
static int waits_dumpit(struct sk_buff *skb, struct netlink_callback *cb)
{
	if (dump_ctx(cb)->next && msleep_interruptible(120 * MSEC_PER_SEC))
		return -EINTR;
	return sound_dumpit(skb, cb);
}

/*
 * SHORT, 24: a structure is read beyond the end of its attribute. What is there is
 * random here.
 */
static int short_start(struct netlink_callback *cb)
{
	const struct nlattr *attr = dump_attr(cb, BROKEN_A_FILTER);
	struct broken_filter filter;

	sound_start(cb);
	if (!attr)
		return 0;
	get_random_bytes(&filter, sizeof(filter));
	memcpy(&filter, nla_data(attr), nla_len(attr));
	dump_ctx(cb)->next = filter.from;
	cb->answer_flags |= NLM_F_DUMP_FILTERED;
	return 0;
}

/* SILENT, 28: a do that answers nothing. */
static int silent_doit(struct sk_buff *skb, struct genl_info *info)
{
	return GENL_REQ_ATTR_CHECK(info, BROKEN_A_ID) ? -EINVAL : 0;
}

static int fill_nothing(struct sk_buff *skb, const struct object *o)
{
	return 0;
}

/* HOLLOW, 28: a do that answers with no attribute. */
static int hollow_doit(struct sk_buff *skb, struct genl_info *info)
{
	return reply_object(info, 256, fill_nothing);
}

static const struct nla_policy nest_policy[__BROKEN_A_MAX] = {
	[BROKEN_A_WHERE] = { .type = NLA_NESTED },
};

static const struct nla_policy short_policy[__BROKEN_A_MAX] = {
	[BROKEN_A_FILTER] = { .type = NLA_BINARY, .len = sizeof(struct broken_filter) },
};

/* NEXT, 28: the do of a key that is not there answers with the next one. */
static int next_doit(struct sk_buff *skb, struct genl_info *info)
{
	unsigned long id;

	if (GENL_REQ_ATTR_CHECK(info, BROKEN_A_ID))
		return -EINVAL;
	id = nla_get_u32(info->attrs[BROKEN_A_ID]);
	mutex_lock(&objects_lock);
	if (xa_find(&objects, &id, KEY_MAX, ALIVE))
		*(u32 *)nla_data(info->attrs[BROKEN_A_ID]) = id;
	mutex_unlock(&objects_lock);
	return reply_object(info, 256, put_fields);
}

static int budget_start(struct netlink_callback *cb)
{
	const struct nlattr *id = dump_attr(cb, BROKEN_A_ID);
	struct dump_ctx *ctx = dump_ctx(cb);
	int err = sound_start(cb);

	ctx->once = id;
	ctx->inner = id ? nla_get_u32(id) : 0;
	ctx->next = 0;
	ctx->last = KEY_MAX;
	return err;
}

/* BUDGET, 10: a page looks at 100 objects. If none passes the filter, the dump ends. */
static int budget_dumpit(struct sk_buff *skb, struct netlink_callback *cb)
{
	struct dump_ctx *ctx = dump_ctx(cb);
	struct object *o;
	int err = 0, n;

	if (!visible(cb))
		return 0;
	mutex_lock(&objects_lock);
	cb->seq = generation;
	for (n = 0; !err && n < 100; n++) {
		o = xa_find(&objects, &ctx->next, ctx->last, ALIVE);
		if (!o)
			break;
		if (!ctx->once || o->id == ctx->inner)
			err = put_object(skb, cb, o);
		if (!err)
			ctx->next++;
	}
	mutex_unlock(&objects_lock);
	return err && !skb->len ? err : skb->len;
}

static const struct genl_ops ops[] = {
	/* JUNK, 11: no policy: any attribute is accepted. */
	DUMP(JUNK, sound_start, sound_dumpit),
	/* LAX, 11: the exported policy is not all that is accepted. */
	DUMP(LAX, from_start, sound_dumpit,
	     .validate = GENL_DONT_VALIDATE_DUMP_STRICT, TAKES(from_policy)),
	DUMP(MUTE, mute_start, sound_dumpit),
	/* IGNORE, 10: a filter is accepted and ignored. */
	DUMP(IGNORE, sound_start, sound_dumpit, TAKES(from_policy)),
	DUMP(UNTOLD, untold_start, sound_dumpit, TAKES(from_policy)),
	DUMP(PARTLY, from_start, partly_dumpit, TAKES(from_policy)),
	DUMP(AGAIN, from_start, again_dumpit, TAKES(from_policy)),
	DUMP(INSIDE, inside_start, sound_dumpit, TAKES(nest_policy)),
	/* The send makes the first page, and the read of a page the next one. */
	DUMP(WAITS, sound_start, waits_dumpit),
	DUMP(SLEEP, from_start, sleep_dumpit, TAKES(from_policy)),
	DUMP(SHORT, short_start, sound_dumpit, TAKES(short_policy)),
	DUMP(SILENT, sound_start, sound_dumpit,
	     .doit = silent_doit, TAKES(id_policy)),
	DUMP(HOLLOW, sound_start, sound_dumpit,
	     .doit = hollow_doit, TAKES(id_policy)),
	DUMP(NEXT, sound_start, sound_dumpit, .doit = next_doit, TAKES(id_policy)),
	DUMP(BUDGET, budget_start, budget_dumpit, TAKES(id_policy)),
};

const struct broken_ops requests_ops = { ops, ARRAY_SIZE(ops) };
