// SPDX-License-Identifier: GPL-2.0-only
/* The sound dump, in the pieces that the bugs are made of; and NEW and DEL. */

#include <linux/module.h>
#include <net/sock.h>

#include "broken.h"

/* Only the first network namespace has objects. */
bool visible(const struct netlink_callback *cb)
{
	return net_eq(sock_net(cb->skb->sk), &init_net);
}

u8 dump_cmd(const struct netlink_callback *cb)
{
	return ((struct genlmsghdr *)nlmsg_data(cb->nlh))->cmd;
}

void *put_header(struct sk_buff *skb, struct netlink_callback *cb)
{
	return genlmsg_put(skb, NETLINK_CB(cb->skb).portid, cb->nlh->nlmsg_seq,
			   &broken_family, NLM_F_MULTI | cb->answer_flags,
			   dump_cmd(cb));
}

static int put_name(struct sk_buff *skb, const struct object *o)
{
	char name[24];

	snprintf(name, sizeof(name), "object-%u", o->id);
	return nla_put_string(skb, BROKEN_A_NAME, name);
}

int put_fields(struct sk_buff *skb, const struct object *o)
{
	return nla_put_u32(skb, BROKEN_A_ID, o->id) ?:
	       nla_put_u32(skb, BROKEN_A_VALUE, o->value) ?:
	       put_name(skb, o);
}

/* Ends a record, or cancels it if there is an error. */
int put_end(struct sk_buff *skb, struct netlink_callback *cb, void *hdr, int err)
{
	if (err) {
		genlmsg_cancel(skb, hdr);
		return err;
	}
	genl_dump_check_consistent(cb, hdr);
	genlmsg_end(skb, hdr);
	return 0;
}

int put_object(struct sk_buff *skb, struct netlink_callback *cb, struct object *o)
{
	void *hdr = put_header(skb, cb);

	return hdr ? put_end(skb, cb, hdr, put_fields(skb, o)) : -EMSGSIZE;
}

/* Puts a record with one more attribute. */
int put_with(struct sk_buff *skb, struct netlink_callback *cb, struct object *o,
	     int type, const void *data, int len)
{
	void *hdr = put_header(skb, cb);

	if (!hdr)
		return -EMSGSIZE;
	return put_end(skb, cb, hdr,
		       put_fields(skb, o) ?: nla_put(skb, type, len, data));
}

int walk(struct sk_buff *skb, struct netlink_callback *cb, const u32 *seq,
	 unsigned long *next, put_fn put)
{
	struct object *o;
	int err = 0;

	mutex_lock(&objects_lock);
	cb->seq = *seq;
	for (; (o = xa_find(&objects, next, dump_ctx(cb)->last, ALIVE)); ++*next) {
		err = put(skb, cb, o);
		if (err)
			break;
	}
	mutex_unlock(&objects_lock);
	return err;
}

int page_end(const struct sk_buff *skb, int err)
{
	return err == -EMSGSIZE && skb->len ? skb->len : err;
}

/* A page with another generation than the table's. */
int page_of(struct sk_buff *skb, struct netlink_callback *cb, const u32 *seq)
{
	if (!visible(cb))
		return 0;
	return page_end(skb, walk(skb, cb, seq, &dump_ctx(cb)->next, put_object));
}

/* A page with other records. */
int page(struct sk_buff *skb, struct netlink_callback *cb, put_fn put)
{
	if (!visible(cb))
		return 0;
	return page_end(skb, walk(skb, cb, &generation, &dump_ctx(cb)->next, put));
}

/* The policy has checked the attributes of the request. */
const struct nlattr *dump_attr(const struct netlink_callback *cb, int type)
{
	return nlmsg_find_attr(cb->nlh, GENL_HDRLEN, type);
}

int sound_start(struct netlink_callback *cb)
{
	const struct nlattr *id = dump_attr(cb, BROKEN_A_ID);
	struct dump_ctx *ctx = dump_ctx(cb);

	ctx->last = KEY_MAX;
	if (id && dump_cmd(cb) >= BROKEN_CMD_SOUND) {
		ctx->next = nla_get_u32(id);
		ctx->last = min_t(u32, ctx->next, KEY_MAX);
		cb->answer_flags |= NLM_F_DUMP_FILTERED;
	}
	cb->prev_seq = READ_ONCE(generation);
	return 0;
}

int sound_dumpit(struct sk_buff *skb, struct netlink_callback *cb)
{
	return page(skb, cb, put_object);
}

/* Replies to a do with as many bytes of attributes as that. */
int reply_object(struct genl_info *info, size_t size, fill_fn fill)
{
	struct sk_buff *reply;
	struct object *o;
	int err;
	void *hdr;

	if (GENL_REQ_ATTR_CHECK(info, BROKEN_A_ID))
		return -EINVAL;
	reply = genlmsg_new(size, GFP_KERNEL);
	if (!reply)
		return -ENOMEM;
	/* The allocator rounds up, which would hide a size that is too small. */
	skb_reserve(reply, skb_tailroom(reply) -
			   nlmsg_total_size(genlmsg_total_size(size)));
	hdr = genlmsg_put_reply(reply, info, &broken_family, 0,
				info->genlhdr->cmd);
	mutex_lock(&objects_lock);
	o = object_find(nla_get_u32(info->attrs[BROKEN_A_ID]));
	err = o && net_eq(genl_info_net(info), &init_net) ? fill(reply, o) : -ENOENT;
	mutex_unlock(&objects_lock);
	if (err) {
		if (err == -ENOENT)
			NL_SET_BAD_ATTR(info->extack, info->attrs[BROKEN_A_ID]);
		nlmsg_free(reply);
		return err;
	}
	genlmsg_end(reply, hdr);
	return genlmsg_reply(reply, info);
}

int sound_doit(struct sk_buff *skb, struct genl_info *info)
{
	return reply_object(info, 256, put_fields);
}

/* Returns the id that NEW and DEL need. */
static int change_id(struct genl_info *info, u32 *id)
{
	if (GENL_REQ_ATTR_CHECK(info, BROKEN_A_ID))
		return -EINVAL;
	if (!net_eq(genl_info_net(info), &init_net)) {
		GENL_SET_ERR_MSG(info, "objects are in the first network namespace only");
		return -EINVAL;
	}
	*id = nla_get_u32(info->attrs[BROKEN_A_ID]);
	if (*id > KEY_MAX) {
		NL_SET_ERR_MSG_ATTR(info->extack, info->attrs[BROKEN_A_ID],
				    "the largest id is 4294967294");
		return -ERANGE;
	}
	return 0;
}

static int new_doit(struct sk_buff *skb, struct genl_info *info)
{
	const struct nlattr *value = info->attrs[BROKEN_A_VALUE];
	u32 id;
	int err = change_id(info, &id) ?: lock_dumps();

	if (err)
		return err;
	mutex_lock(&objects_lock);
	err = object_put(id, value ? nla_get_u32(value) : 0);
	mutex_unlock(&objects_lock);
	unlock_dumps();
	return err;
}

static int del_doit(struct sk_buff *skb, struct genl_info *info)
{
	u32 id;
	int err = change_id(info, &id);

	if (err)
		return err;
	mutex_lock(&objects_lock);
	err = object_remove(id);
	mutex_unlock(&objects_lock);
	if (err)
		NL_SET_BAD_ATTR(info->extack, info->attrs[BROKEN_A_ID]);
	return err;
}

const struct nla_policy id_policy[__BROKEN_A_MAX] = {
	[BROKEN_A_ID] = { .type = NLA_U32 },
};

const struct nla_policy from_policy[__BROKEN_A_MAX] = {
	[BROKEN_A_FROM] = { .type = NLA_U32 },
};

static const struct nla_policy new_policy[__BROKEN_A_MAX] = {
	[BROKEN_A_ID] = { .type = NLA_U32 },
	[BROKEN_A_VALUE] = { .type = NLA_U32 },
};

static const struct genl_ops ops[] = {
	DUMP(SOUND, sound_start, sound_dumpit,
	     .doit = sound_doit, TAKES(id_policy)),
	{
		.cmd		= BROKEN_CMD_NEW,
		.doit		= new_doit,
		.flags		= GENL_ADMIN_PERM,
		TAKES(new_policy),
	},
	{
		.cmd		= BROKEN_CMD_DEL,
		.doit		= del_doit,
		.flags		= GENL_ADMIN_PERM,
		TAKES(id_policy),
	},
};

const struct broken_ops sound_ops = { ops, ARRAY_SIZE(ops) };
