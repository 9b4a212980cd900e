/* SPDX-License-Identifier: GPL-2.0-only */
/* What the dump is made of: what it asks for, its place, a page. */
#ifndef BULKDUMP_DUMP_H
#define BULKDUMP_DUMP_H

#include <linux/netlink.h>
#include <linux/skbuff.h>
#include <net/genetlink.h>

#include "table.h"

struct bulkdump_batch;
struct bulkdump_cursor_ops;
struct bulkdump_encoding_ops;

/**
 * struct bulkdump_dump - what a dump knows from its start to its end
 * @fields: what of an entry it sends, BULKDUMP_FIELD_*
 * @filtered: the request may leave entries out
 * @id_from: the smallest id to send
 * @id_to: the largest id to send
 * @flags: what an entry's flags must be, under @flags_mask
 * @flags_mask: 0 if it does not matter
 * @prefix_len: of @prefix; 0 if the name does not matter
 * @prefix: what a name must begin with
 * @generation: the table's when the dump started
 * @memory: bytes that all this takes
 * @since: send what changed after this generation, and not after @generation
 * @cursor: in place of the key cursor
 * @encoding: in place of a message for each record
 * @walker: the place of a walker, in table->order
 * @batch: the page that is being made of columns
 *
 * Allocated by start(), which sets all of it, and freed by done(). The last four
 * are for what is in compare/.
 */
struct bulkdump_dump {
	u32 fields;

	bool filtered;
	u32 id_from;
	u32 id_to;
	u32 flags;
	u32 flags_mask;
	u8 prefix_len;
	char prefix[BULKDUMP_NAME_LEN_MAX + 1];

	u64 generation;
	size_t memory;
	u64 since;

	const struct bulkdump_cursor_ops *cursor;
	const struct bulkdump_encoding_ops *encoding;
	struct bulkdump_node walker;
	struct bulkdump_batch *batch;
};

/**
 * struct bulkdump_ctx - what a dump remembers from page to page
 * @next: its place: the smallest id not sent yet; with since, a generation
 * @args: the place of the older cursors, as they know it: cb->args
 * @dump: the rest; set by start()
 * @ended: dumpit() came to its end, so the dump was not abandoned; for done()
 *
 * It lies in cb->ctx, which is the same storage as cb->args.
 */
struct bulkdump_ctx {
	union {
		u64 next;
		long args[2];
	};
	struct bulkdump_dump *dump;
	bool ended;
};

static inline struct bulkdump_ctx *bulkdump_ctx(struct netlink_callback *cb)
{
	NL_ASSERT_CTX_FITS(struct bulkdump_ctx);

	return (struct bulkdump_ctx *)cb->ctx;
}

/**
 * struct bulkdump_page - a page in the making
 * @table: what is dumped
 * @dump: for whom
 * @skb: the page
 * @cb: the dump, as the core knows it
 * @room: bytes that it has
 * @records: on it so far
 * @scanned: entries, and walkers, looked at for them
 * @patience: how many more may be looked at before others must run
 */
struct bulkdump_page {
	struct bulkdump_table *table;
	struct bulkdump_dump *dump;
	struct sk_buff *skb;
	struct netlink_callback *cb;
	u32 room;
	u32 records;
	u64 scanned;
	u32 patience;
};

/* Take one look at something: false if others must run before. */
static inline bool bulkdump_page_may_look(struct bulkdump_page *page)
{
	if (!page->patience)
		return false;
	page->patience--;
	return true;
}

/*
 * Offer the next entry to the page. Returns 0 if it is in it or is not asked for.
 * Else it is the first one of the next page, or the next call: -EMSGSIZE if it
 * found no room, -EAGAIN if others must run.
 */
int bulkdump_page_add(struct bulkdump_page *page,
		      const struct bulkdump_entry *e);

/**
 * struct bulkdump_cursor_ops - another way to remember a place
 * @start: put the cursor at the start of what is asked for; may be NULL
 * @walk: offer entries to the page from the cursor on, and move it. Under
 *	rcu_read_lock(). Returns 0 at the end of the table, else the error of
 *	the entry at the cursor, or of its own, which ends the dump.
 * @done: let go of what start took; may be NULL
 */
struct bulkdump_cursor_ops {
	int (*start)(struct bulkdump_table *table,
		     struct netlink_callback *cb);
	int (*walk)(struct bulkdump_page *page);
	void (*done)(struct bulkdump_table *table,
		     struct netlink_callback *cb);
};

extern const struct bulkdump_cursor_ops bulkdump_cursor_bucket;
extern const struct bulkdump_cursor_ops bulkdump_cursor_index;
extern const struct bulkdump_cursor_ops bulkdump_cursor_walker;
extern const struct bulkdump_cursor_ops bulkdump_cursor_since;

/* A dump with since: of changes, not of the table. */
static inline bool bulkdump_dump_is_delta(const struct bulkdump_dump *dump)
{
	return dump->cursor == &bulkdump_cursor_since;
}

/**
 * struct bulkdump_encoding_ops - another way to write records
 * @overhead: what a page needs more than with messages, for the same record
 * @start: allocate dump->batch, which is freed with the dump; may be NULL
 * @put: put an entry at the end of the page: whole, or -EMSGSIZE and not at all
 * @put_deleted: the same, of one that was deleted; NULL: a message
 * @finish: complete a page that has records; may be NULL
 */
struct bulkdump_encoding_ops {
	u32 overhead;
	int (*start)(struct bulkdump_dump *dump, struct netlink_callback *cb,
		     struct netlink_ext_ack *extack);
	int (*put)(struct bulkdump_page *page, const struct bulkdump_entry *e);
	int (*put_deleted)(struct bulkdump_page *page, u32 id, u64 generation);
	void (*finish)(struct bulkdump_page *page);
};

extern const struct bulkdump_encoding_ops bulkdump_encoding_direct;
extern const struct bulkdump_encoding_ops bulkdump_encoding_columns;

#endif /* BULKDUMP_DUMP_H */
