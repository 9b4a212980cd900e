// SPDX-License-Identifier: GPL-2.0-only
/*
 * The key cursor: remembers the id of the next record.
 *
 * It points at no object, so nothing can die under it between two pages, and
 * it counts nothing, so neither an insert nor a delete shifts it: an entry
 * that is in the table throughout the dump is sent exactly once. Going on
 * costs one descent of the XArray, wherever it is.
 */

#include "dump.h"

static int cursor_key_start(struct bulkdump_table *table,
			    struct netlink_callback *cb)
{
	struct bulkdump_ctx *ctx = bulkdump_ctx(cb);

	/* A filter from an id on does not scan: it starts there. */
	ctx->next_id = ctx->dump->id_from;
	return 0;
}

/*
 * One descent of the XArray a page: from there on it is one slot to the next,
 * under the rcu_read_lock() that all of the page is made under.
 */
static int cursor_key_walk(struct bulkdump_page *page)
{
	struct bulkdump_ctx *ctx = bulkdump_ctx(page->cb);
	XA_STATE(xas, &page->table->entries, ctx->next_id);
	const u32 last = page->dump->id_to;
	struct bulkdump_entry *e;
	int err;

	xas_for_each(&xas, e, last) {
		/* A writer was here: once more, or it is a place reserved only. */
		if (xas_retry(&xas, e))
			continue;
		err = bulkdump_page_add(page, e);
		if (err)
			return err;
		/*
		 * Only now: a record that did not fit is the next page's first.
		 * It may wrap behind the largest id, but the index, which has
		 * 64 bits, does not: nothing follows, so nobody starts there.
		 */
		ctx->next_id = xas.xa_index + 1;
	}
	return 0;
}

static u64 cursor_key_place(const struct bulkdump_ctx *ctx)
{
	return ctx->next_id;
}

const struct bulkdump_cursor_ops bulkdump_cursor_key = {
	.start	= cursor_key_start,
	.walk	= cursor_key_walk,
	.place	= cursor_key_place,
};
