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

int bulkdump_cursor_key(struct bulkdump_table *table,
			struct bulkdump_cursor_key *cursor,
			struct sk_buff *skb, struct netlink_callback *cb)
{
	struct bulkdump_entry *e;
	unsigned long id;
	int err;

	for (id = cursor->next;
	     (e = xa_find(&table->entries, &id, cursor->last, XA_PRESENT));
	     id = cursor->next) {
		err = bulkdump_put_record(skb, cb, e);
		if (err)
			return err;
		/* Here, so that the next id cannot wrap to 0 and start over. */
		if (id == cursor->last)
			break;
		/* Only now: a record that did not fit is the next page's first. */
		cursor->next = id + 1;
	}
	return 0;
}
