// SPDX-License-Identifier: GPL-2.0-only
/* Records that their reader should not get: rules 13 and 22. */

#include <linux/cred.h>
#include <linux/nsproxy.h>
#include <linux/pid.h>
#include <linux/sched.h>
#include <linux/uidgid.h>
#include <net/sock.h>

#include "broken.h"

/* GATE, 22: the do needs a right that the dump does not. */
static int gate_doit(struct sk_buff *skb, struct genl_info *info)
{
	return netlink_capable(skb, CAP_NET_ADMIN) ? sound_doit(skb, info) : -EPERM;
}

static const u32 secret = 0x5ec2e7;

static int fill_secret(struct sk_buff *skb, const struct object *o)
{
	return put_fields(skb, o) ?: nla_put_u32(skb, BROKEN_A_SECRET, secret);
}

static int secret_doit(struct sk_buff *skb, struct genl_info *info)
{
	bool admin = netlink_capable(skb, CAP_NET_ADMIN);

	return reply_object(info, 256, admin ? fill_secret : put_fields);
}

static int put_secret(struct sk_buff *skb, struct netlink_callback *cb,
		      struct object *o)
{
	return put_with(skb, cb, o, BROKEN_A_SECRET, &secret, sizeof(secret));
}

/* SECRET, 22: the dump has a field that the do hides from most. */
static int secret_dumpit(struct sk_buff *skb, struct netlink_callback *cb)
{
	return page(skb, cb, put_secret);
}

/* NETNS, 13: the table of another network namespace. */
static int netns_dumpit(struct sk_buff *skb, struct netlink_callback *cb)
{
	return page_end(skb, walk(skb, cb, &generation, &dump_ctx(cb)->next,
				  put_object));
}

/* CURRENT, 13: the network namespace is the reader's, not the socket's. */
static int current_dumpit(struct sk_buff *skb, struct netlink_callback *cb)
{
	if (!net_eq(current->nsproxy->net_ns, &init_net))
		return 0;
	return netns_dumpit(skb, cb);
}

static int put_process(struct sk_buff *skb, struct netlink_callback *cb,
		       struct object *o)
{
	u32 pid = task_tgid_nr(current);

	return put_with(skb, cb, o, BROKEN_A_PID, &pid, sizeof(pid));
}

/* PID, 13: a process id of the first pid namespace. */
static int pid_dumpit(struct sk_buff *skb, struct netlink_callback *cb)
{
	return page(skb, cb, put_process);
}

static int put_user_id(struct sk_buff *skb, struct netlink_callback *cb,
		       struct object *o)
{
	u32 uid = from_kuid(&init_user_ns, current_euid());

	return put_with(skb, cb, o, BROKEN_A_UID, &uid, sizeof(uid));
}

/* UID, 13: a user id of the first user namespace. */
static int uid_dumpit(struct sk_buff *skb, struct netlink_callback *cb)
{
	return page(skb, cb, put_user_id);
}

static const struct genl_ops ops[] = {
	DUMP(GATE, sound_start, sound_dumpit,
	     .doit = gate_doit, TAKES(id_policy)),
	DUMP(SECRET, sound_start, secret_dumpit,
	     .doit = secret_doit, TAKES(id_policy)),
	DUMP(NETNS, sound_start, netns_dumpit),
	DUMP(CURRENT, sound_start, current_dumpit),
	DUMP(PID, sound_start, pid_dumpit),
	DUMP(UID, sound_start, uid_dumpit),
};

const struct broken_ops rights_ops = { ops, ARRAY_SIZE(ops) };
