// SPDX-License-Identifier: GPL-2.0-only
/*
 * The index cursor: how many entries were sent, in cb->args[0]. The classic
 * mistake. It is here to be measured, not to be copied.
 *
 * Each page counts from the first entry to its place, so a dump costs the square
 * of the table's size. While it counts, it cannot let others run, so choosing it
 * needs a right (request.c). If an entry before the place is removed, the dump
 * misses another one. If one is added there, the dump sends another one twice.
 */

#include "dump.h"

static int cursor_index_walk(struct bulkdump_page *page)
{
	/* The same storage as bulkdump_ctx(cb)->args; others do it like this. */
	long *sent = &page->cb->args[0];
	struct bulkdump_entry *e;
	unsigned long id;
	long nr = 0;
	int err;

	xa_for_each(&page->table->entries, id, e) {
		if (nr++ < *sent) {
			page->scanned++;
			continue;
		}
		err = bulkdump_page_add(page, e);
		if (err)
			return err;
		++*sent;
	}
	return 0;
}

const struct bulkdump_cursor_ops bulkdump_cursor_index = {
	.walk	= cursor_index_walk,
};
