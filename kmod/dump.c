// SPDX-License-Identifier: GPL-2.0-only
/*
 * The dump: start, dumpit, done.
 *
 * A reader asks once. The core calls start() and the first dumpit() from the
 * reader's sendmsg(), then dumpit() again after each of its reads, one page a
 * call, until that returns 0 or an error; then, or when the reader closes its
 * socket before, done(). Between two calls nothing is held but the module,
 * the namespace, the 48 bytes of cb->ctx and what start() allocated.
 */

#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <net/genetlink.h>
#include <net/sock.h>

#include "dump.h"
#include "netlink_gen.h"
#include "trace.h"

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

/*
 * The core makes the next page at least so large: any record of now fits in it.
 * And no larger than that, or than the reader's buffer, for that page waits in
 * its socket.
 */
static void dump_size_pages(struct netlink_callback *cb,
			    const struct bulkdump_table *table,
			    const struct bulkdump_dump *dump)
{
	if (dump->fields & BULKDUMP_FIELD_PAYLOAD)
		cb->min_dump_alloc = bulkdump_record_max(table) +
				     dump->encoding->overhead;
}

static void dump_free(struct bulkdump_dump *dump)
{
	kvfree(dump->batch);
	kfree(dump);
}

/* All that may fail; what it allocated is in dump when it does. */
static int dump_prepare(struct bulkdump_table *table,
			struct netlink_callback *cb, struct bulkdump_dump *dump)
{
	const struct genl_info *info = genl_info_dump(cb);
	int err;

	err = bulkdump_dump_parse(dump, cb->skb, info);
	if (err)
		return err;
	dump_size_pages(cb, table, dump);
	if (dump->encoding->start) {
		err = dump->encoding->start(dump, cb, info->extack);
		if (err)
			return err;
	}
	return dump->cursor->start ? dump->cursor->start(table, cb) : 0;
}

/*
 * Called once, before the first page. If it fails, done() is not called: what
 * was allocated until then goes here.
 */
int bulkdump_nl_entry_get_start(struct netlink_callback *cb)
{
	struct bulkdump_table *table = bulkdump_table(sock_net(cb->skb->sk));
	struct bulkdump_ctx *ctx = bulkdump_ctx(cb);
	struct bulkdump_dump *dump;
	int err;

	dump = kzalloc(sizeof(*dump), GFP_KERNEL_ACCOUNT);
	if (!dump) {
		NL_SET_ERR_MSG(genl_info_dump(cb)->extack,
			       "no memory for the dump");
		return -ENOMEM;
	}
	ctx->dump = dump;
	ctx->ended = false;
	dump->memory = sizeof(*dump);
	dump->generation = dump_generation_begin(table);
	/* Noted here, so that a change before the first page counts too. */
	cb->prev_seq = dump_seq(dump->generation);
	cb->seq = cb->prev_seq;
	err = dump_prepare(table, cb, dump);
	trace_dump_start(table, cb, err);
	if (err) {
		dump_free(dump);
		return err;
	}
	/* Tells the reader, on every record and on DONE, that it was applied. */
	if (dump->filtered)
		cb->answer_flags |= NLM_F_DUMP_FILTERED;
	atomic64_add(dump->memory, &table->dumps_memory);
	atomic64_inc(&table->dumps_started);
	return 0;
}

int bulkdump_page_add_deleted(struct bulkdump_page *page, u32 id,
			      u64 generation)
{
	int err;

	if (!bulkdump_page_may_look(page))
		return -EAGAIN;
	if (id < page->dump->id_from || id > page->dump->id_to)
		return 0;
	err = page->dump->encoding->put_deleted(page, id, generation);
	if (!err)
		page->records++;
	return err;
}

/*
 * Under one rcu_read_lock(): fill the page from the cursor on. Entries that
 * are found in it are good until the unlock, and the page is complete then.
 */
static int page_walk(struct bulkdump_page *page)
{
	const struct bulkdump_dump *dump = page->dump;
	int err;

	page->patience = BULKDUMP_PATIENCE;
	rcu_read_lock();
	page->cb->seq = dump_seq(dump_generation_begin(page->table));
	err = dump->cursor->walk(page);
	page->scanned += BULKDUMP_PATIENCE - page->patience;
	if (page->records && dump->encoding->finish)
		dump->encoding->finish(page);
	rcu_read_unlock();
	return err;
}

/*
 * An empty page cannot be sent, so a reader that filters a lot out has to stay
 * here; but it lets others run, and can be killed.
 */
static int page_fill(struct bulkdump_page *page)
{
	int err;

	err = bulkdump_read_begin(&page->table->guard);
	if (err)
		return err;
	while ((err = page_walk(page)) == -EAGAIN && !page->records) {
		cond_resched();
		if (fatal_signal_pending(current)) {
			err = -EINTR;
			break;
		}
	}
	bulkdump_read_end(&page->table->guard);
	return err;
}

static void page_account(const struct bulkdump_page *page)
{
	struct bulkdump_table *table = page->table;

	if (page->records)
		atomic64_inc(&table->pages);
	atomic64_add(page->records, &table->records);
	atomic64_add(page->scanned, &table->scanned);
}

/*
 * One page. Returns its length if there is more to come, 0 after the last
 * record, or an error, which ends the dump and reaches the reader in DONE.
 */
int bulkdump_nl_entry_get_dumpit(struct sk_buff *skb,
				 struct netlink_callback *cb)
{
	struct bulkdump_page page = {
		/* Not the namespace of current: anybody may read for the requester. */
		.table	= bulkdump_table(sock_net(skb->sk)),
		.dump	= bulkdump_ctx(cb)->dump,
		.skb	= skb,
		.cb	= cb,
		.room	= skb_tailroom(skb),
	};
	u64 generation;
	int err;

	err = page_fill(&page);
	/* If DONE is next, it tells of a change during this very page. */
	generation = dump_generation_end(page.table);
	cb->seq = dump_seq(generation);
	page_account(&page);
	if ((err == -EMSGSIZE || err == -EAGAIN) && skb->len) {
		dump_size_pages(cb, page.table, page.dump);
		err = skb->len;
	}
	trace_dump_page(&page, err);
	if (err > 0)
		return err;

	if (err == -EMSGSIZE)
		NL_SET_ERR_MSG(cb->extack, "a record became larger than the page");
	bulkdump_ctx(cb)->ended = true;
	if (generation != page.dump->generation)
		atomic64_inc(&page.table->dumps_interrupted);
	return err;
}

/* Called once, after the last page or when the socket is closed before it. */
int bulkdump_nl_entry_get_done(struct netlink_callback *cb)
{
	struct bulkdump_table *table = bulkdump_table(sock_net(cb->skb->sk));
	struct bulkdump_ctx *ctx = bulkdump_ctx(cb);

	if (ctx->dump->cursor->done)
		ctx->dump->cursor->done(table, cb);
	atomic64_sub(ctx->dump->memory, &table->dumps_memory);
	dump_free(ctx->dump);
	trace_dump_done(table, cb, !ctx->ended);
	/* Pairs with smp_rmb() in table_fill_counters(). */
	smp_mb__before_atomic();
	if (ctx->ended)
		atomic64_inc(&table->dumps_finished);
	else
		atomic64_inc(&table->dumps_abandoned);
	return 0;
}
