// SPDX-License-Identifier: GPL-2.0-only
/* The do callbacks, and the attributes of an entry. */

#include <net/genetlink.h>
#include <net/sock.h>

#include "dump.h"
#include "netlink_gen.h"
#include "table.h"

static u32 uint_size(void)
{
	return nla_total_size(sizeof(u64));
}

/* The largest that bulkdump_entry_fill() makes: a uint may take 4 or 8 bytes. */
static u32 entry_attrs_size(u8 name_len, u16 payload_len)
{
	return nla_total_size(sizeof(u32)) +		/* id */
	       nla_total_size(name_len + 1) +		/* name */
	       nla_total_size(sizeof(u32)) +		/* flags */
	       uint_size() +				/* value */
	       nla_total_size(payload_len) +		/* payload */
	       nla_total_size(4 * uint_size()) +	/* stats */
	       uint_size();				/* generation */
}

u32 bulkdump_record_size(u8 name_len, u16 payload_len)
{
	return nlmsg_total_size(GENL_HDRLEN +
				entry_attrs_size(name_len, payload_len));
}

static int entry_fill_stats(struct sk_buff *skb, const struct bulkdump_entry *e)
{
	struct nlattr *stats = nla_nest_start(skb, BULKDUMP_A_ENTRY_STATS);

	if (!stats)
		return -EMSGSIZE;
	if (nla_put_uint(skb, BULKDUMP_A_STATS_HITS, atomic64_read(&e->hits)) ||
	    nla_put_uint(skb, BULKDUMP_A_STATS_BYTES, atomic64_read(&e->bytes)) ||
	    nla_put_uint(skb, BULKDUMP_A_STATS_CREATED, e->created) ||
	    nla_put_uint(skb, BULKDUMP_A_STATS_UPDATED, e->updated))
		return -EMSGSIZE;
	nla_nest_end(skb, stats);
	return 0;
}

/* On failure the caller cancels the message, and what is in it goes too. */
int bulkdump_entry_fill(struct sk_buff *skb, const struct bulkdump_entry *e)
{
	if (nla_put_u32(skb, BULKDUMP_A_ENTRY_ID, e->id) ||
	    nla_put_string(skb, BULKDUMP_A_ENTRY_NAME, e->data) ||
	    nla_put_u32(skb, BULKDUMP_A_ENTRY_FLAGS, e->flags) ||
	    nla_put_uint(skb, BULKDUMP_A_ENTRY_VALUE, e->value) ||
	    (e->payload_len &&
	     nla_put(skb, BULKDUMP_A_ENTRY_PAYLOAD, e->payload_len,
		     bulkdump_entry_payload(e))) ||
	    entry_fill_stats(skb, e) ||
	    nla_put_uint(skb, BULKDUMP_A_ENTRY_GENERATION, e->generation))
		return -EMSGSIZE;
	return 0;
}

/* An empty reply to the request, with its command, and room for @size. */
static struct sk_buff *reply_new(struct genl_info *info, u32 size, void **hdr)
{
	struct sk_buff *skb = genlmsg_new(size, GFP_KERNEL);

	if (!skb) {
		NL_SET_ERR_MSG(info->extack, "no memory for the reply");
		return NULL;
	}
	*hdr = genlmsg_put_reply(skb, info, &bulkdump_nl_family, 0,
				 info->genlhdr->cmd);
	return skb;
}

static int reply_send(struct sk_buff *skb, void *hdr, struct genl_info *info)
{
	genlmsg_end(skb, hdr);
	return genlmsg_reply(skb, info);
}

/*
 * The room of a reply is reckoned before, so this cannot happen; but were it
 * wrong one day, the request fails aloud.
 */
static int reply_too_small(struct sk_buff *skb)
{
	WARN_ON_ONCE(1);
	nlmsg_free(skb);
	return -EMSGSIZE;
}

static struct bulkdump_table *info_table(struct sk_buff *request)
{
	return bulkdump_table(sock_net(request->sk));
}

/* For the commands without a policy: on some kernels they accept anything. */
static int refuse_attrs(struct genl_info *info)
{
	if (!nlmsg_attrlen(info->nlhdr, GENL_HDRLEN))
		return 0;
	NL_SET_ERR_MSG(info->extack, "this command takes no attributes");
	return -EINVAL;
}

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

/* Look the entry up and put it into the reply. */
static int entry_get(struct bulkdump_table *table, struct genl_info *info,
		     struct sk_buff *reply)
{
	const struct nlattr *name = info->attrs[BULKDUMP_A_ENTRY_NAME];
	const struct nlattr *id = info->attrs[BULKDUMP_A_ENTRY_ID];
	struct bulkdump_entry *e;
	int err = -ENOENT;

	rcu_read_lock();
	e = name ? bulkdump_table_find_name(table, nla_data(name)) :
		   bulkdump_table_find(table, nla_get_u32(id));
	if (e)
		err = bulkdump_entry_fill(reply, e);
	if (!err) {
		atomic64_inc(&e->hits);
		atomic64_add(e->payload_len, &e->bytes);
	}
	rcu_read_unlock();
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
	struct bulkdump_table *table = info_table(skb);
	struct sk_buff *reply;
	void *hdr;
	int err;

	err = check_entry_get(info);
	if (err)
		return err;
	/* Nothing sleeps under RCU: the room is found before, tried again after. */
	do {
		reply = reply_new(info, READ_ONCE(table->record_max), &hdr);
		if (!reply)
			return -ENOMEM;
		err = entry_get(table, info, reply);
		if (!err)
			return reply_send(reply, hdr, info);
		nlmsg_free(reply);
	} while (err == -EMSGSIZE);
	return err;
}

/**
 * struct change - a request to change an entry, and its reply in the making
 * @values: what the request gives
 * @flags: what @values points at
 * @value: what @values points at
 * @reply: made before the change, so that a change that was made is told
 * @hdr: of @reply
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
	change->reply = reply_new(info, nla_total_size(sizeof(u32)) +
				  uint_size(), &change->hdr);
	return change->reply ? 0 : -ENOMEM;
}

/* For new and set: the attributes beside the id. */
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
		return reply_too_small(reply);
	return reply_send(reply, change->hdr, info);
}

int bulkdump_nl_entry_new_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct change change;
	u64 generation = 0;
	int err;

	err = change_parse(&change, info);
	if (err)
		return err;
	err = bulkdump_table_new(info_table(skb), &change.values, &generation,
				 info->extack);
	return change_reply(&change, info, err, generation);
}

int bulkdump_nl_entry_set_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct change change;
	u64 generation = 0;
	int err;

	err = change_parse(&change, info);
	if (err)
		return err;
	err = bulkdump_table_set(info_table(skb), &change.values,
				 info->attrs[BULKDUMP_A_ENTRY_CREATE],
				 &generation, info->extack);
	return change_reply(&change, info, err, generation);
}

int bulkdump_nl_entry_del_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct change change;
	u64 generation = 0;
	int err;

	err = change_begin(&change, info);
	if (err)
		return err;
	err = bulkdump_table_del(info_table(skb), change.values.id, &generation,
				 info->extack);
	return change_reply(&change, info, err, generation);
}

/* Under table->lock, so that the numbers belong together. */
static int table_fill_size(struct sk_buff *skb, struct bulkdump_table *table)
{
	u64 generation = atomic64_read(&table->completed);
	u32 min, max;

	if (nla_put_uint(skb, BULKDUMP_A_TABLE_COUNT, table->count) ||
	    nla_put_uint(skb, BULKDUMP_A_TABLE_GENERATION, generation) ||
	    nla_put_uint(skb, BULKDUMP_A_TABLE_BYTES, table->bytes) ||
	    nla_put_u32(skb, BULKDUMP_A_TABLE_RECORD_MAX, table->record_max) ||
	    nla_put_uint(skb, BULKDUMP_A_TABLE_ENTRIES_MAX, bulkdump_max_entries))
		return -EMSGSIZE;
	if (bulkdump_table_bounds(table, &min, &max) &&
	    (nla_put_u32(skb, BULKDUMP_A_TABLE_ID_MIN, min) ||
	     nla_put_u32(skb, BULKDUMP_A_TABLE_ID_MAX, max)))
		return -EMSGSIZE;
	return 0;
}

static int table_fill_counters(struct sk_buff *skb,
			       struct bulkdump_table *table)
{
	/* The ends before the starts: no end without its start is counted. */
	u64 abandoned = atomic64_read(&table->dumps_abandoned);
	u64 finished = atomic64_read(&table->dumps_finished);
	u64 started;

	/* Pairs with the order of start() before done() on each socket. */
	smp_rmb();
	started = atomic64_read(&table->dumps_started);
	if (nla_put_uint(skb, BULKDUMP_A_TABLE_DUMPS_STARTED, started) ||
	    nla_put_uint(skb, BULKDUMP_A_TABLE_DUMPS_FINISHED, finished) ||
	    nla_put_uint(skb, BULKDUMP_A_TABLE_DUMPS_ABANDONED, abandoned) ||
	    nla_put_uint(skb, BULKDUMP_A_TABLE_DUMPS_INTERRUPTED,
			 atomic64_read(&table->dumps_interrupted)) ||
	    nla_put_uint(skb, BULKDUMP_A_TABLE_DUMPS_OPEN,
			 started - finished - abandoned) ||
	    nla_put_uint(skb, BULKDUMP_A_TABLE_PAGES,
			 atomic64_read(&table->pages)) ||
	    nla_put_uint(skb, BULKDUMP_A_TABLE_RECORDS,
			 atomic64_read(&table->records)))
		return -EMSGSIZE;
	return 0;
}

int bulkdump_nl_table_get_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct bulkdump_table *table = info_table(skb);
	struct sk_buff *reply;
	void *hdr;
	int err;

	err = refuse_attrs(info);
	if (err)
		return err;
	reply = reply_new(info, BULKDUMP_A_TABLE_MAX * uint_size(), &hdr);
	if (!reply)
		return -ENOMEM;
	err = bulkdump_table_lock(table);
	if (err) {
		nlmsg_free(reply);
		return err;
	}
	err = table_fill_size(reply, table);
	mutex_unlock(&table->lock);
	if (err || table_fill_counters(reply, table))
		return reply_too_small(reply);
	return reply_send(reply, hdr, info);
}

static u32 get_u32(struct genl_info *info, int type, u32 otherwise)
{
	return info->attrs[type] ? nla_get_u32(info->attrs[type]) : otherwise;
}

static int parse_fill(struct bulkdump_fill *fill, struct genl_info *info)
{
	if (GENL_REQ_ATTR_CHECK(info, BULKDUMP_A_FILL_COUNT)) {
		NL_SET_ERR_MSG(info->extack, "the count is missing");
		return -EINVAL;
	}
	fill->count = get_u32(info, BULKDUMP_A_FILL_COUNT, 0);
	fill->id_start = get_u32(info, BULKDUMP_A_FILL_ID_START, 0);
	fill->id_stride = get_u32(info, BULKDUMP_A_FILL_ID_STRIDE, 1);
	fill->payload_min = get_u32(info, BULKDUMP_A_FILL_PAYLOAD_MIN, 0);
	fill->payload_max = get_u32(info, BULKDUMP_A_FILL_PAYLOAD_MAX,
				    fill->payload_min);
	if (info->attrs[BULKDUMP_A_FILL_SEED])
		fill->seed = nla_get_uint(info->attrs[BULKDUMP_A_FILL_SEED]);
	if (fill->payload_min > fill->payload_max) {
		NL_SET_ERR_MSG_ATTR(info->extack,
				    info->attrs[BULKDUMP_A_FILL_PAYLOAD_MAX],
				    "payload-max is below payload-min");
		return -EINVAL;
	}
	return 0;
}

int bulkdump_nl_table_fill_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct bulkdump_fill fill = {};
	struct sk_buff *reply;
	void *hdr;
	int err;

	err = parse_fill(&fill, info);
	if (err)
		return err;
	reply = reply_new(info, 3 * uint_size(), &hdr);
	if (!reply)
		return -ENOMEM;
	err = bulkdump_table_fill(info_table(skb), &fill, info->extack);
	if (err) {
		nlmsg_free(reply);
		return err;
	}
	if (nla_put_u32(reply, BULKDUMP_A_FILL_COUNT, fill.count) ||
	    nla_put_uint(reply, BULKDUMP_A_FILL_GENERATION, fill.generation) ||
	    nla_put_uint(reply, BULKDUMP_A_FILL_CHECKSUM, fill.checksum))
		return reply_too_small(reply);
	return reply_send(reply, hdr, info);
}

int bulkdump_nl_table_flush_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct sk_buff *reply;
	u64 generation;
	u32 count;
	void *hdr;
	int err;

	err = refuse_attrs(info);
	if (err)
		return err;
	reply = reply_new(info, 2 * uint_size(), &hdr);
	if (!reply)
		return -ENOMEM;
	err = bulkdump_table_flush(info_table(skb), &count, &generation);
	if (err) {
		nlmsg_free(reply);
		return err;
	}
	if (nla_put_uint(reply, BULKDUMP_A_TABLE_COUNT, count) ||
	    nla_put_uint(reply, BULKDUMP_A_TABLE_GENERATION, generation))
		return reply_too_small(reply);
	return reply_send(reply, hdr, info);
}
