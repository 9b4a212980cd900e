// SPDX-License-Identifier: GPL-2.0-only
/*
 * The dump: start, the loop, done. To start your own, copy minimal/; this one has
 * filters, too. Pass over dump->cursor and dump->encoding, which are NULL unless
 * the request has since, or names a cursor or encoding of compare/.
 *
 * The core calls start() and the first dumpit() within the reader's sendmsg().
 * It calls dumpit() again after each read, for one page, until that returns 0 or
 * an error. Then it calls done(); or earlier, if the reader closes its socket.
 * Between two calls a dump takes only a reference to the module and to the
 * namespace, the 48 bytes of cb->ctx, and what start() allocated.
 */

#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <net/genetlink.h>
#include <net/sock.h>

#include "dump.h"
#include "fill.h"
#include "netlink_gen.h"
#include "netns.h"
#include "request.h"
#include "trace.h"

/* That of the socket: the task that reads may be in another namespace. */
static struct bulkdump_table *dump_table(const struct netlink_callback *cb)
{
	return bulkdump_table(sock_net(cb->skb->sk));
}

/*
 * cb->seq has 32 bits, and 0 means "not checked". 1 is that of the dump's start and
 * of nothing else, so that the first change shows, however many there were.
 */
static u32 dump_seq(const struct bulkdump_dump *dump, u64 generation)
{
	u64 changes = generation - dump->generation;

	return changes ? do_div(changes, U32_MAX - 1) + 2 : 1;
}

/*
 * The core makes the next page at least that large, so that each record of now
 * fits. Not larger than needed: the page takes memory until it is read.
 */
static void dump_size_pages(struct netlink_callback *cb,
			    const struct bulkdump_table *table,
			    const struct bulkdump_dump *dump)
{
	if (!(dump->fields & BULKDUMP_FIELD_PAYLOAD))
		return;
	cb->min_dump_alloc = bulkdump_record_max(table);
	if (dump->encoding)
		cb->min_dump_alloc += dump->encoding->overhead;
}

static void dump_free(struct bulkdump_dump *dump)
{
	kvfree(dump->batch);
	kfree(dump);
}

/* Everything that may fail. On error the caller frees @dump. */
static int dump_prepare(struct bulkdump_table *table,
			struct netlink_callback *cb, struct bulkdump_dump *dump)
{
	const struct genl_info *info = genl_info_dump(cb);
	int err;

	err = bulkdump_dump_parse(dump, cb->skb, info);
	if (err)
		return err;
	dump_size_pages(cb, table, dump);
	if (dump->encoding && dump->encoding->start) {
		err = dump->encoding->start(dump, cb, info->extack);
		if (err)
			return err;
	}
	if (dump->cursor)
		return dump->cursor->start ? dump->cursor->start(table, cb) : 0;
	/* A range of ids needs no scan: the dump starts there. */
	bulkdump_ctx(cb)->next = dump->id_from;
	return 0;
}

/*
 * Called once, before the first page. If it fails, done() is not called, so it
 * frees what it allocated.
 */
int bulkdump_nl_entry_get_start(struct netlink_callback *cb)
{
	struct bulkdump_table *table = dump_table(cb);
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
	dump->generation = bulkdump_generation_begin(table);
	/* Set here, so that a change before the first page counts, too. */
	cb->prev_seq = dump_seq(dump, dump->generation);
	cb->seq = cb->prev_seq;
	err = dump_prepare(table, cb, dump);
	trace_dump_start(table, cb, err);
	if (err) {
		dump_free(dump);
		return err;
	}
	/* Tells the reader that the filter was applied, on every record and on DONE. */
	if (dump->filtered)
		cb->answer_flags |= NLM_F_DUMP_FILTERED;
	atomic64_add(dump->memory, &table->dumps_memory);
	atomic64_inc(&table->dumps_started);
	return 0;
}

/* Inline, because a call for each record takes 3 % of a page of columns. */
static __always_inline int page_add(struct bulkdump_page *page,
				    const struct bulkdump_entry *e)
{
	const struct bulkdump_dump *dump = page->dump;
	int err;

	if (!bulkdump_page_may_look(page))
		return -EAGAIN;
	if (dump->filtered && !bulkdump_dump_wants(dump, e))
		return 0;
	if (dump->encoding)
		err = dump->encoding->put(page, e);
	else
		err = bulkdump_entry_fill(page->skb, BULKDUMP_CMD_ENTRY_GET,
					  NULL, page->cb, e, dump->fields);
	if (!err)
		page->records++;
	return err;
}

int bulkdump_page_add(struct bulkdump_page *page,
		      const struct bulkdump_entry *e)
{
	return page_add(page, e);
}

/*
 * The key cursor: the id of the next record.
 *
 * It does not point at an object, which could die between two pages. It does not
 * count, so inserts and deletes do not shift it. An entry that stays in the table
 * throughout the dump is sent exactly once. A page costs one descent of the
 * XArray, wherever the cursor is.
 */
static int key_walk(struct bulkdump_page *page)
{
	struct bulkdump_ctx *ctx = bulkdump_ctx(page->cb);
	XA_STATE(xas, &page->table->entries, ctx->next);
	const u32 last = page->dump->id_to;
	struct bulkdump_entry *e;
	int err;

	xas_for_each(&xas, e, last) {
		/* A writer was here, or the slot is only reserved. */
		if (xas_retry(&xas, e))
			continue;
		err = page_add(page, e);
		if (err)
			return err;
		/* Only now: a record that does not fit begins the next page. */
		ctx->next = xas.xa_index + 1;
	}
	return 0;
}

/*
 * Under one rcu_read_lock(): an entry is valid until the unlock, and the page is
 * complete by then.
 */
static int page_walk(struct bulkdump_page *page)
{
	const struct bulkdump_dump *dump = page->dump;
	int err;

	page->patience = BULKDUMP_PATIENCE;
	rcu_read_lock();
	page->cb->seq = dump_seq(dump, bulkdump_generation_begin(page->table));
	err = dump->cursor ? dump->cursor->walk(page) : key_walk(page);
	page->scanned += BULKDUMP_PATIENCE - page->patience;
	if (page->records && dump->encoding && dump->encoding->finish)
		dump->encoding->finish(page);
	rcu_read_unlock();
	return err;
}

/*
 * An empty page cannot be sent, so a reader whose filter leaves little stays here
 * for long. It lets others run, and can be killed.
 */
static int page_make(struct bulkdump_page *page)
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
 * Makes one page. Returns its length if more is to come, 0 after the last record,
 * or an error, which ends the dump and reaches the reader in DONE.
 */
int bulkdump_nl_entry_get_dumpit(struct sk_buff *skb,
				 struct netlink_callback *cb)
{
	struct bulkdump_ctx *ctx = bulkdump_ctx(cb);
	struct bulkdump_page page = {
		.table	= dump_table(cb),
		.dump	= ctx->dump,
		.skb	= skb,
		.cb	= cb,
		.room	= skb_tailroom(skb),
	};
	u64 generation;
	int err;

	err = page_make(&page);
	/* For DONE, if it comes next: was there a change during this page? */
	generation = bulkdump_generation_end(page.table);
	cb->seq = dump_seq(page.dump, generation);
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
	ctx->ended = true;
	if (generation != page.dump->generation)
		atomic64_inc(&page.table->dumps_interrupted);
	return err;
}

/* Called once: after the last page, or when the socket is closed before. */
int bulkdump_nl_entry_get_done(struct netlink_callback *cb)
{
	struct bulkdump_table *table = dump_table(cb);
	struct bulkdump_ctx *ctx = bulkdump_ctx(cb);
	struct bulkdump_dump *dump = ctx->dump;

	if (dump->cursor && dump->cursor->done)
		dump->cursor->done(table, cb);
	atomic64_sub(dump->memory, &table->dumps_memory);
	dump_free(dump);
	trace_dump_done(table, cb, !ctx->ended);
	/* Pairs with smp_rmb() in table_fill_counters(). */
	smp_mb__before_atomic();
	if (ctx->ended)
		atomic64_inc(&table->dumps_finished);
	else
		atomic64_inc(&table->dumps_abandoned);
	return 0;
}
