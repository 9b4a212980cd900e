/* SPDX-License-Identifier: GPL-2.0-only */
/* What the dump, its cursors and the do callbacks share. */
#ifndef BULKDUMP_DUMP_H
#define BULKDUMP_DUMP_H

#include <linux/netlink.h>
#include <linux/skbuff.h>

#include "table.h"

/**
 * struct bulkdump_cursor_key - a place in the table: the id that comes next
 * @next: the smallest id that was not sent yet
 * @last: the largest id to send
 */
struct bulkdump_cursor_key {
	u32 next;
	u32 last;
};

/*
 * Send records from the cursor on until the page is full or the last one is
 * in it. Under rcu_read_lock(). Returns 0 at the end of the table, else the
 * error of the record at the cursor, -EMSGSIZE when it found no room.
 */
int bulkdump_cursor_key(struct bulkdump_table *table,
			struct bulkdump_cursor_key *cursor,
			struct sk_buff *skb, struct netlink_callback *cb);

/* Put one record at the end of the page: whole, or -EMSGSIZE and not at all. */
int bulkdump_put_record(struct sk_buff *skb, struct netlink_callback *cb,
			const struct bulkdump_entry *e);

/* The attributes of an entry; -EMSGSIZE if they find no room. */
int bulkdump_entry_fill(struct sk_buff *skb, const struct bulkdump_entry *e);

#endif /* BULKDUMP_DUMP_H */
