// SPDX-License-Identifier: GPL-2.0-only
/*
 * The walker cursor: a node of its own in the list of entries, between what was
 * sent and what comes next. xfrm's states do this
 * (net/xfrm/xfrm_state.c:xfrm_state_walk).
 *
 * Entries come and go around the node, so the dump never loses its place, and
 * going on costs nothing. The price is that the dump is an object in the list.
 * Each change of the list takes a lock that a page is made under, each walk of
 * the list must skip walkers, and done() must remove this one. Choosing it needs
 * a right (request.c). New entries go to the end of the list, so a dump ends only
 * if it is faster than whoever makes them.
 */

#include "dump.h"

static int cursor_walker_start(struct bulkdump_table *table,
			       struct netlink_callback *cb)
{
	struct bulkdump_node *walker = &bulkdump_ctx(cb)->dump->walker;

	walker->walker = true;
	spin_lock(&table->order_lock);
	list_add(&walker->list, &table->order);
	spin_unlock(&table->order_lock);
	return 0;
}

static int walker_offer(struct bulkdump_page *page,
			const struct bulkdump_node *node)
{
	/* Another dump's place. It counts as a look, because there may be many. */
	if (node->walker)
		return bulkdump_page_may_look(page) ? 0 : -EAGAIN;
	return bulkdump_page_add(page, container_of(node, struct bulkdump_entry,
						    node));
}

static int cursor_walker_walk(struct bulkdump_page *page)
{
	struct bulkdump_node *walker = &page->dump->walker;
	struct list_head *next = &walker->list;
	struct bulkdump_node *node;
	int err = 0;

	spin_lock(&page->table->order_lock);
	list_for_each_continue(next, &page->table->order) {
		node = list_entry(next, struct bulkdump_node, list);
		err = walker_offer(page, node);
		if (err)
			break;
	}
	/* Before the first entry that was not sent, or at the end of the list. */
	list_move_tail(&walker->list, next);
	spin_unlock(&page->table->order_lock);
	return err;
}

static void cursor_walker_done(struct bulkdump_table *table,
			       struct netlink_callback *cb)
{
	spin_lock(&table->order_lock);
	list_del(&bulkdump_ctx(cb)->dump->walker.list);
	spin_unlock(&table->order_lock);
}

const struct bulkdump_cursor_ops bulkdump_cursor_walker = {
	.start	= cursor_walker_start,
	.walk	= cursor_walker_walk,
	.done	= cursor_walker_done,
};
