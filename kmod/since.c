// SPDX-License-Identifier: GPL-2.0-only
/*
 * The cursor of a dump with since: a key cursor on the change log. The key is the
 * next generation. Such a dump costs what changed, not what is in the table.
 *
 * It ends at the generation that the table had when the dump started, so it
 * always ends, however fast the table changes. An entry that changes meanwhile
 * moves behind that end, and the dump is marked as interrupted. The reader gets
 * that change with its next dump, since the generation of this one's start.
 */

#include "dump.h"
#include "fill.h"
#include "changelog.h"

static int stale(struct netlink_ext_ack *extack)
{
	NL_SET_ERR_MSG(extack,
		       "the change log does not reach back that far: dump all");
	return -ESTALE;
}

static int cursor_since_start(struct bulkdump_table *table,
			      struct netlink_callback *cb)
{
	struct netlink_ext_ack *extack = genl_info_dump(cb)->extack;
	struct bulkdump_ctx *ctx = bulkdump_ctx(cb);
	u64 since = ctx->dump->since;

	if (since < bulkdump_changelog_floor(table))
		return stale(extack);
	if (since > ctx->dump->generation) {
		NL_SET_ERR_MSG(extack,
			       "the table has not had this generation: dump all");
		return -ESTALE;
	}
	ctx->next = since + 1;
	return 0;
}

/* Does the log still have everything from generation @next on? */
static int check_floor(struct bulkdump_page *page, u64 next)
{
	/* Pairs with smp_wmb() in changelog.c. */
	smp_rmb();
	if (bulkdump_changelog_floor(page->table) < next)
		return 0;
	return stale(page->cb->extack);
}

/* bulkdump_page_add() for a deleted entry. */
static int add_deleted(struct bulkdump_page *page, u32 id, u64 generation)
{
	const struct bulkdump_encoding_ops *encoding = page->dump->encoding;
	int err;

	if (!bulkdump_page_may_look(page))
		return -EAGAIN;
	if (id < page->dump->id_from || id > page->dump->id_to)
		return 0;
	if (encoding && encoding->put_deleted)
		err = encoding->put_deleted(page, id, generation);
	else
		err = bulkdump_entry_fill_deleted(page->skb, page->cb, id,
						  generation, page->dump->fields);
	if (!err)
		page->records++;
	return err;
}

static int log_walk(struct bulkdump_page *page)
{
	/* If the log starts again below us, check_floor() says so. */
	const u64 base = atomic64_read(&page->table->log_base);
	struct bulkdump_ctx *ctx = bulkdump_ctx(page->cb);
	XA_STATE(xas, &page->table->log, ctx->next - base);
	void *what;
	int err;

	/* Nor is there anything behind the last one, where an index may wrap. */
	if (ctx->next <= base || ctx->next > page->dump->generation)
		return 0;
	xas_for_each(&xas, what, page->dump->generation - base) {
		if (xas_retry(&xas, what))
			continue;
		if (xa_is_value(what))
			err = add_deleted(page, bulkdump_changelog_id(&xas, what),
					  base + xas.xa_index);
		else
			err = bulkdump_page_add(page, what);
		if (err)
			return err;
		ctx->next = base + xas.xa_index + 1;
	}
	return 0;
}

static int cursor_since_walk(struct bulkdump_page *page)
{
	u64 next = bulkdump_ctx(page->cb)->next;
	int err = log_walk(page);

	return check_floor(page, next) ?: err;
}

const struct bulkdump_cursor_ops bulkdump_cursor_since = {
	.start	= cursor_since_start,
	.walk	= cursor_since_walk,
};
