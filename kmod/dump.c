// SPDX-License-Identifier: GPL-2.0-only
/*
 * The dump: start, dumpit, done.
 *
 * A reader asks once. The core calls start() and the first dumpit() from the
 * reader's sendmsg(), then dumpit() again after each of its reads, one page a
 * call, until that returns 0 or an error; then, or when the reader closes its
 * socket before, done(). Between two calls nothing is held but the module,
 * the namespace and the 48 bytes of cb->ctx.
 */

#include <net/genetlink.h>
#include <net/sock.h>

#include "dump.h"
#include "netlink_gen.h"

/**
 * struct dump_ctx - what a dump remembers from page to page
 * @generation: the table's when the dump started; set by start()
 * @cursor: the place; set by start(), moved by dumpit()
 * @records: sent on this page; counted by dumpit()
 * @ended: dumpit() came to its end, so the dump was not abandoned; for done()
 *
 * It lies in cb->ctx, which is the storage of the older cb->args.
 */
struct dump_ctx {
	u64 generation;
	struct bulkdump_cursor_key cursor;
	u32 records;
	bool ended;
};

static struct dump_ctx *dump_ctx(struct netlink_callback *cb)
{
	NL_ASSERT_CTX_FITS(struct dump_ctx);

	return (struct dump_ctx *)cb->ctx;
}

/* cb->seq has 32 bits, and 0 in it means "not checked". */
static u32 dump_seq(u64 generation)
{
	return do_div(generation, U32_MAX) + 1;
}

/* The generation whose changes are all in what is read from here on. */
static u64 dump_generation_begin(struct bulkdump_table *table)
{
	/* Pairs with the release in bulkdump_change_end(). */
	return atomic64_read_acquire(&table->completed);
}

/* The generation of which nothing newer is in what was read up to here. */
static u64 dump_generation_end(struct bulkdump_table *table)
{
	/* Pairs with smp_wmb() in bulkdump_change_begin(). */
	smp_rmb();
	return atomic64_read(&table->begun);
}

/* The core makes a page at least so large: any record of now fits in one. */
static void dump_size_pages(struct netlink_callback *cb,
			    const struct bulkdump_table *table)
{
	cb->min_dump_alloc = max_t(u32, cb->min_dump_alloc,
				   READ_ONCE(table->record_max));
}

static int dump_parse_filter(struct netlink_callback *cb,
			     const struct genl_info *info)
{
	struct bulkdump_cursor_key *cursor = &dump_ctx(cb)->cursor;
	struct nlattr *tb[BULKDUMP_A_FILTER_MAX + 1];
	const struct nlattr *filter;
	int err;

	cursor->next = 0;
	cursor->last = U32_MAX;

	filter = info->attrs ? info->attrs[BULKDUMP_A_ENTRY_FILTER] : NULL;
	if (!filter)
		return 0;
	err = nla_parse_nested(tb, BULKDUMP_A_FILTER_MAX, filter,
			       bulkdump_filter_nl_policy, info->extack);
	if (err)
		return err;
	if (tb[BULKDUMP_A_FILTER_ID_FROM])
		cursor->next = nla_get_u32(tb[BULKDUMP_A_FILTER_ID_FROM]);
	if (tb[BULKDUMP_A_FILTER_ID_TO])
		cursor->last = nla_get_u32(tb[BULKDUMP_A_FILTER_ID_TO]);
	if (cursor->next > cursor->last) {
		NL_SET_ERR_MSG_ATTR(info->extack,
				    tb[BULKDUMP_A_FILTER_ID_FROM],
				    "id-from is above id-to");
		return -EINVAL;
	}
	/* Tells the reader, on every record and on DONE, that it was applied. */
	cb->answer_flags |= NLM_F_DUMP_FILTERED;
	return 0;
}

/* Called once, before the first page. If it fails, done() is not called. */
int bulkdump_nl_entry_get_start(struct netlink_callback *cb)
{
	struct bulkdump_table *table = bulkdump_table(sock_net(cb->skb->sk));
	struct dump_ctx *ctx = dump_ctx(cb);
	int err;

	err = dump_parse_filter(cb, genl_info_dump(cb));
	if (err)
		return err;

	dump_size_pages(cb, table);
	ctx->ended = false;
	ctx->generation = dump_generation_begin(table);
	/* Noted here, so that a change before the first page counts too. */
	cb->prev_seq = dump_seq(ctx->generation);
	cb->seq = cb->prev_seq;
	atomic64_inc(&table->dumps_started);
	return 0;
}

int bulkdump_put_record(struct sk_buff *skb, struct netlink_callback *cb,
			const struct bulkdump_entry *e)
{
	void *hdr;

	hdr = genlmsg_put(skb, NETLINK_CB(cb->skb).portid, cb->nlh->nlmsg_seq,
			  &bulkdump_nl_family, NLM_F_MULTI | cb->answer_flags,
			  BULKDUMP_CMD_ENTRY_GET);
	if (!hdr)
		return -EMSGSIZE;
	if (bulkdump_entry_fill(skb, e)) {
		genlmsg_cancel(skb, hdr);
		return -EMSGSIZE;
	}
	/* Last: it marks this message only, and a cancel would lose the mark. */
	genl_dump_check_consistent(cb, hdr);
	genlmsg_end(skb, hdr);
	dump_ctx(cb)->records++;
	return 0;
}

/*
 * One page. Returns its length if there is more to come, 0 after the last
 * record, or an error, which ends the dump and reaches the reader in DONE.
 */
int bulkdump_nl_entry_get_dumpit(struct sk_buff *skb,
				 struct netlink_callback *cb)
{
	/* Not the namespace of current: anybody may read for the requester. */
	struct bulkdump_table *table = bulkdump_table(sock_net(skb->sk));
	struct dump_ctx *ctx = dump_ctx(cb);
	u64 generation;
	int err;

	ctx->records = 0;
	cb->seq = dump_seq(dump_generation_begin(table));
	rcu_read_lock();
	err = bulkdump_cursor_key(table, &ctx->cursor, skb, cb);
	rcu_read_unlock();
	/* If DONE is next, it tells of a change during this very page. */
	generation = dump_generation_end(table);
	cb->seq = dump_seq(generation);

	if (ctx->records)
		atomic64_inc(&table->pages);
	atomic64_add(ctx->records, &table->records);
	if (err == -EMSGSIZE && skb->len) {
		dump_size_pages(cb, table);
		return skb->len;
	}
	if (err == -EMSGSIZE)
		NL_SET_ERR_MSG(cb->extack, "a record became larger than the page");

	ctx->ended = true;
	if (generation != ctx->generation)
		atomic64_inc(&table->dumps_interrupted);
	return err;
}

/* Called once, after the last page or when the socket is closed before it. */
int bulkdump_nl_entry_get_done(struct netlink_callback *cb)
{
	struct bulkdump_table *table = bulkdump_table(sock_net(cb->skb->sk));

	if (dump_ctx(cb)->ended)
		atomic64_inc(&table->dumps_finished);
	else
		atomic64_inc(&table->dumps_abandoned);
	return 0;
}
