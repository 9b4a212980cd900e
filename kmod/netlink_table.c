// SPDX-License-Identifier: GPL-2.0-only
/* The do callbacks of the whole table: get, fill, flush. */

#include "fill.h"
#include "changelog.h"
#include "netlink_gen.h"
#include "netns.h"
#include "notify.h"
#include "reply.h"
#include "rights.h"
#include "synthetic.h"

/* For commands without a policy, for which 6.12 accepts anything; 6.1 and 7.3 do not. */
static int refuse_attrs(struct genl_info *info)
{
	if (!nlmsg_attrlen(info->nlhdr, GENL_HDRLEN))
		return 0;
	NL_SET_ERR_MSG(info->extack, "this command takes no attributes");
	return -EINVAL;
}

/* Under table->lock, so that the numbers are of one state. */
static int table_fill_size(struct sk_buff *skb, struct bulkdump_table *table)
{
	u64 generation = atomic64_read(&table->completed);
	u32 min, max;

	lockdep_assert_held(&table->lock);
	if (nla_put_uint(skb, BULKDUMP_A_TABLE_COUNT, table->count) ||
	    nla_put_uint(skb, BULKDUMP_A_TABLE_GENERATION, generation) ||
	    nla_put_uint(skb, BULKDUMP_A_TABLE_BYTES, table->bytes) ||
	    nla_put_u32(skb, BULKDUMP_A_TABLE_RECORD_MAX, table->record_max) ||
	    nla_put_uint(skb, BULKDUMP_A_TABLE_ENTRIES_MAX,
			 bulkdump_max_entries) ||
	    nla_put_uint(skb, BULKDUMP_A_TABLE_LOG_FLOOR, bulkdump_changelog_floor(table)) ||
	    nla_put_uint(skb, BULKDUMP_A_TABLE_TOMBSTONES, table->tombstones) ||
	    nla_put_uint(skb, BULKDUMP_A_TABLE_TOMBSTONES_MAX,
			 bulkdump_max_tombstones))
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
	/* Ends before starts, so that no end is counted without its start. */
	u64 abandoned = atomic64_read(&table->dumps_abandoned);
	u64 finished = atomic64_read(&table->dumps_finished);
	u64 started;

	/* Pairs with smp_mb__before_atomic() in bulkdump_nl_entry_get_done(). */
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
			 atomic64_read(&table->records)) ||
	    nla_put_uint(skb, BULKDUMP_A_TABLE_SCANNED,
			 atomic64_read(&table->scanned)) ||
	    nla_put_uint(skb, BULKDUMP_A_TABLE_DUMPS_MEMORY,
			 atomic64_read(&table->dumps_memory)))
		return -EMSGSIZE;
	return 0;
}

int bulkdump_nl_table_get_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct bulkdump_table *table = bulkdump_table(genl_info_net(info));
	struct sk_buff *reply;
	void *hdr;
	int err;

	err = refuse_attrs(info);
	if (err)
		return err;
	reply = bulkdump_reply_new(info, BULKDUMP_A_TABLE_MAX * bulkdump_uint_size(),
				   &hdr);
	if (!reply)
		return -ENOMEM;
	err = bulkdump_table_lock(table);
	if (err) {
		nlmsg_free(reply);
		return err;
	}
	err = table_fill_size(reply, table);
	bulkdump_table_unlock(table);
	if (err || table_fill_counters(reply, table))
		return bulkdump_reply_too_small(reply);
	return bulkdump_reply_send(reply, hdr, info);
}

static u32 get_u32(struct genl_info *info, int type, u32 otherwise)
{
	return info->attrs[type] ? nla_get_u32(info->attrs[type]) : otherwise;
}

static int parse_synthetic(struct bulkdump_synthetic *synthetic,
			   struct genl_info *info)
{
	if (GENL_REQ_ATTR_CHECK(info, BULKDUMP_A_FILL_COUNT)) {
		NL_SET_ERR_MSG(info->extack, "the count is missing");
		return -EINVAL;
	}
	synthetic->count = get_u32(info, BULKDUMP_A_FILL_COUNT, 0);
	synthetic->id_start = get_u32(info, BULKDUMP_A_FILL_ID_START, 0);
	synthetic->id_stride = get_u32(info, BULKDUMP_A_FILL_ID_STRIDE, 1);
	synthetic->payload_min = get_u32(info, BULKDUMP_A_FILL_PAYLOAD_MIN, 0);
	synthetic->payload_max = get_u32(info, BULKDUMP_A_FILL_PAYLOAD_MAX,
					 synthetic->payload_min);
	if (info->attrs[BULKDUMP_A_FILL_SEED])
		synthetic->seed = nla_get_uint(info->attrs[BULKDUMP_A_FILL_SEED]);
	if (synthetic->payload_min > synthetic->payload_max) {
		NL_SET_ERR_MSG_ATTR(info->extack,
				    info->attrs[BULKDUMP_A_FILL_PAYLOAD_MAX],
				    "payload-max is below payload-min");
		return -EINVAL;
	}
	return 0;
}

static int synthetic_make(struct bulkdump_synthetic *synthetic,
			  struct genl_info *info)
{
	struct bulkdump_table *table = bulkdump_table(genl_info_net(info));
	int err;

	err = bulkdump_table_lock(table);
	if (err)
		return err;
	err = bulkdump_table_synthesize(table, synthetic, info->extack);
	if (!err)
		bulkdump_notify_synthetic(info, synthetic);
	bulkdump_table_unlock(table);
	return err;
}

int bulkdump_nl_table_fill_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct bulkdump_synthetic synthetic = {};
	struct sk_buff *reply;
	void *hdr;
	int err;

	err = bulkdump_check_change(skb, info->extack) ?:
	      parse_synthetic(&synthetic, info);
	if (err)
		return err;
	reply = bulkdump_reply_new(info, 3 * bulkdump_uint_size(), &hdr);
	if (!reply)
		return -ENOMEM;
	err = synthetic_make(&synthetic, info);
	if (err) {
		nlmsg_free(reply);
		return err;
	}
	if (nla_put_u32(reply, BULKDUMP_A_FILL_COUNT, synthetic.count) ||
	    nla_put_uint(reply, BULKDUMP_A_FILL_GENERATION, synthetic.generation) ||
	    nla_put_uint(reply, BULKDUMP_A_FILL_CHECKSUM, synthetic.checksum))
		return bulkdump_reply_too_small(reply);
	return bulkdump_reply_send(reply, hdr, info);
}

static int flush_make(struct genl_info *info, u32 *count, u64 *generation)
{
	struct bulkdump_table *table = bulkdump_table(genl_info_net(info));
	int err;

	err = bulkdump_table_lock(table);
	if (err)
		return err;
	err = bulkdump_table_flush(table, count, generation);
	if (!err)
		bulkdump_notify_flush(info, *count, *generation);
	bulkdump_table_unlock(table);
	return err;
}

int bulkdump_nl_table_flush_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct sk_buff *reply;
	u64 generation;
	u32 count;
	void *hdr;
	int err;

	err = bulkdump_check_change(skb, info->extack) ?: refuse_attrs(info);
	if (err)
		return err;
	reply = bulkdump_reply_new(info, 2 * bulkdump_uint_size(), &hdr);
	if (!reply)
		return -ENOMEM;
	err = flush_make(info, &count, &generation);
	if (err) {
		nlmsg_free(reply);
		return err;
	}
	if (nla_put_uint(reply, BULKDUMP_A_TABLE_COUNT, count) ||
	    nla_put_uint(reply, BULKDUMP_A_TABLE_GENERATION, generation))
		return bulkdump_reply_too_small(reply);
	return bulkdump_reply_send(reply, hdr, info);
}
