// SPDX-License-Identifier: GPL-2.0-only
/*
 * The bucket cursor: a bucket of the hash table of names, and how many entries of
 * it were sent, in cb->args[0] and [1]. Neighbours, conntrack and many others do
 * this (net/core/neighbour.c:neigh_dump_table).
 *
 * Going on is cheap while buckets are short. But the count is wrong as soon as
 * the bucket changes. If an entry before the place is removed, the dump skips
 * another one. If an entry is added, which happens at the head, the dump sends
 * another one twice. If many entries have one name, each page counts from the
 * head of their bucket and cannot let others run meanwhile. So choosing it needs
 * a right (request.c).
 */

#include "dump.h"
#include "names.h"

static int cursor_bucket_walk(struct bulkdump_page *page)
{
	/* The same storage as bulkdump_ctx(cb)->args; others do it like this. */
	long *args = page->cb->args;
	struct hlist_head *names;
	struct bulkdump_entry *e;
	int err;
	long nr;

	names = bulkdump_table_names(page->table);
	if (!names)
		return 0;
	for (; args[0] < bulkdump_buckets(); args[0]++, args[1] = 0) {
		nr = 0;
		hlist_for_each_entry_rcu(e, &names[args[0]], by_name) {
			if (nr++ < args[1]) {
				page->scanned++;
				continue;
			}
			err = bulkdump_page_add(page, e);
			if (err)
				return err;
			args[1]++;
		}
	}
	return 0;
}

const struct bulkdump_cursor_ops bulkdump_cursor_bucket = {
	.walk	= cursor_bucket_walk,
};
