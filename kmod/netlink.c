// SPDX-License-Identifier: GPL-2.0-only
/* The do callbacks of entries: get, new, set, del. */

#include <linux/sched/signal.h>
#include <net/genetlink.h>

#include "fill.h"
#include "names.h"
#include "netlink_gen.h"
#include "netns.h"
#include "notify.h"
#include "reply.h"
#include "rights.h"

static int require_id(struct genl_info *info)
{
	if (!GENL_REQ_ATTR_CHECK(info, BULKDUMP_A_ENTRY_ID))
		return 0;
	NL_SET_ERR_MSG(info->extack, "the id is missing");
	return -EINVAL;
}

static int check_name(struct genl_info *info)
{
	const struct nlattr *name = info->attrs[BULKDUMP_A_ENTRY_NAME];

	if (!name || *(const char *)nla_data(name))
		return 0;
	NL_SET_ERR_MSG_ATTR(info->extack, name, "a name has 1 to 63 bytes");
	return -EINVAL;
}

/* Looks the entry up and puts it into the reply, under one rcu_read_lock(). */
static int entry_lookup(struct bulkdump_table *table, struct genl_info *info,
			struct bulkdump_search *search, struct sk_buff *reply)
{
	const struct nlattr *id = info->attrs[BULKDUMP_A_ENTRY_ID];
	struct bulkdump_entry *e;
	int err;

	rcu_read_lock();
	e = id ? bulkdump_table_find(table, nla_get_u32(id)) :
		 bulkdump_table_find_name(table, search);
	if (IS_ERR_OR_NULL(e)) {
		err = e ? PTR_ERR(e) : -ENOENT;
	} else {
		err = bulkdump_entry_fill(reply, BULKDUMP_CMD_ENTRY_GET, info,
					  NULL, e, BULKDUMP_FIELDS_ALL);
		if (!err) {
			atomic64_inc(&e->hits);
			atomic64_add(e->payload_len, &e->bytes);
		}
	}
	rcu_read_unlock();
	return err;
}

static int entry_get(struct bulkdump_table *table, struct genl_info *info,
		     struct sk_buff *reply)
{
	const struct nlattr *name = info->attrs[BULKDUMP_A_ENTRY_NAME];
	struct bulkdump_search search = {
		.name = name ? nla_data(name) : NULL,
	};
	int err;

	err = bulkdump_read_begin(&table->guard);
	if (err)
		return err;
	while ((err = entry_lookup(table, info, &search, reply)) == -EAGAIN) {
		cond_resched();
		if (fatal_signal_pending(current)) {
			err = -EINTR;
			break;
		}
	}
	bulkdump_read_end(&table->guard);
	if (err == -ENOENT)
		NL_SET_ERR_MSG(info->extack, "there is no such entry");
	return err;
}

static int check_entry_get(struct genl_info *info)
{
	bool by_name = info->attrs[BULKDUMP_A_ENTRY_NAME];
	bool by_id = info->attrs[BULKDUMP_A_ENTRY_ID];

	if (by_id == by_name) {
		NL_SET_ERR_MSG(info->extack, "give either an id or a name");
		return -EINVAL;
	}
	return check_name(info);
}

int bulkdump_nl_entry_get_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct bulkdump_table *table = bulkdump_table(genl_info_net(info));
	struct sk_buff *reply;
	int err;

	err = check_entry_get(info);
	if (err)
		return err;
	/* Allocates before RCU, where nothing may sleep; again if it was too small. */
	do {
		reply = genlmsg_new(bulkdump_record_max(table), GFP_KERNEL);
		if (!reply) {
			NL_SET_ERR_MSG(info->extack, "no memory for the reply");
			return -ENOMEM;
		}
		err = entry_get(table, info, reply);
		if (!err)
			return genlmsg_reply(reply, info);
		nlmsg_free(reply);
	} while (err == -EMSGSIZE && !fatal_signal_pending(current));
	return err;
}

/**
 * struct change - a request to change an entry, and its reply
 * @values: the values that the request gives
 * @flags: @values points here
 * @value: @values points here
 * @reply: allocated before the change, so that no change goes without a reply
 * @hdr: the header in @reply
 */
struct change {
	struct bulkdump_values values;
	u32 flags;
	u64 value;
	struct sk_buff *reply;
	void *hdr;
};

static int change_begin(struct change *change, struct genl_info *info)
{
	struct nlattr **attrs = info->attrs;
	struct bulkdump_values *values = &change->values;

	memset(change, 0, sizeof(*change));
	if (require_id(info))
		return -EINVAL;
	values->id = nla_get_u32(attrs[BULKDUMP_A_ENTRY_ID]);
	change->reply = bulkdump_reply_new(info, nla_total_size(sizeof(u32)) +
				  bulkdump_uint_size(), &change->hdr);
	return change->reply ? 0 : -ENOMEM;
}

/* Parses the attributes of new and set. */
static int change_parse(struct change *change, struct genl_info *info)
{
	struct bulkdump_values *values = &change->values;
	struct nlattr **attrs = info->attrs;
	int err;

	err = check_name(info);
	if (err)
		return err;
	err = change_begin(change, info);
	if (err)
		return err;
	if (attrs[BULKDUMP_A_ENTRY_NAME]) {
		values->name = nla_data(attrs[BULKDUMP_A_ENTRY_NAME]);
		values->name_len = strlen(values->name);
	}
	if (attrs[BULKDUMP_A_ENTRY_FLAGS]) {
		change->flags = nla_get_u32(attrs[BULKDUMP_A_ENTRY_FLAGS]);
		values->flags = &change->flags;
	}
	if (attrs[BULKDUMP_A_ENTRY_VALUE]) {
		change->value = nla_get_uint(attrs[BULKDUMP_A_ENTRY_VALUE]);
		values->value = &change->value;
	}
	if (attrs[BULKDUMP_A_ENTRY_PAYLOAD]) {
		values->payload = nla_data(attrs[BULKDUMP_A_ENTRY_PAYLOAD]);
		values->payload_len = nla_len(attrs[BULKDUMP_A_ENTRY_PAYLOAD]);
	}
	return 0;
}

static int change_reply(struct change *change, struct genl_info *info, int err,
			u64 generation)
{
	struct sk_buff *reply = change->reply;

	if (err) {
		nlmsg_free(reply);
		return err;
	}
	if (nla_put_u32(reply, BULKDUMP_A_ENTRY_ID, change->values.id) ||
	    nla_put_uint(reply, BULKDUMP_A_ENTRY_GENERATION, generation))
		return bulkdump_reply_too_small(reply);
	return bulkdump_reply_send(reply, change->hdr, info);
}

/* Under table->lock: makes or changes the entry, and sends the event. */
static int change_entry(struct bulkdump_table *table, struct change *change,
			struct genl_info *info, u64 *generation, bool make)
{
	const struct bulkdump_entry *e;
	int err;

	err = make ? bulkdump_table_new(table, &change->values, &e, info->extack) :
		     bulkdump_table_set(table, &change->values, &e, info->extack);
	if (err)
		return err;
	*generation = e->generation;
	bulkdump_notify_entry(info, make ? BULKDUMP_CMD_ENTRY_NEW_NTF :
					   BULKDUMP_CMD_ENTRY_SET_NTF, e);
	return 0;
}

static int change_new(struct bulkdump_table *table, struct change *change,
		      struct genl_info *info, u64 *generation)
{
	return change_entry(table, change, info, generation, true);
}

static int change_set(struct bulkdump_table *table, struct change *change,
		      struct genl_info *info, u64 *generation)
{
	bool make = info->attrs[BULKDUMP_A_ENTRY_CREATE] &&
		    !bulkdump_table_has(table, change->values.id);

	return change_entry(table, change, info, generation, make);
}

static int change_del(struct bulkdump_table *table, struct change *change,
		      struct genl_info *info, u64 *generation)
{
	int err;

	err = bulkdump_table_del(table, change->values.id, generation,
				 info->extack);
	if (err)
		return err;
	bulkdump_notify_del(info, change->values.id, *generation);
	return 0;
}

static int change_make(struct change *change, struct genl_info *info,
		       int (*make)(struct bulkdump_table *table,
				   struct change *change,
				   struct genl_info *info, u64 *generation))
{
	struct bulkdump_table *table = bulkdump_table(genl_info_net(info));
	u64 generation = 0;
	int err;

	err = bulkdump_table_lock(table);
	if (!err) {
		err = make(table, change, info, &generation);
		bulkdump_table_unlock(table);
	}
	return change_reply(change, info, err, generation);
}

int bulkdump_nl_entry_new_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct change change;

	return bulkdump_check_change(skb, info->extack) ?:
	       change_parse(&change, info) ?:
	       change_make(&change, info, change_new);
}

int bulkdump_nl_entry_set_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct change change;

	return bulkdump_check_change(skb, info->extack) ?:
	       change_parse(&change, info) ?:
	       change_make(&change, info, change_set);
}

int bulkdump_nl_entry_del_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct change change;

	return bulkdump_check_change(skb, info->extack) ?:
	       change_begin(&change, info) ?:
	       change_make(&change, info, change_del);
}
