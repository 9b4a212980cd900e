/* SPDX-License-Identifier: GPL-2.0-only */
/* The parts of a dump: what it asks for, its place, a page. */
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
 * struct bulkdump_dump - what a dump asks for
 * @fields: the fields of an entry to send, BULKDUMP_FIELD_*
 * @filtered: the request has a filter
 * @id_from: the smallest id to send
 * @id_to: the largest id to send
 * @flags: the flags that an entry must have, under @flags_mask
 * @flags_mask: 0 if the flags do not matter
 * @prefix_len: length of @prefix; 0 if the name does not matter
 * @prefix: how the name must begin
 * @generation: the table's when the dump started
 * @memory: bytes that the dump takes
 * @since: send what changed after this generation, up to @generation
 * @cursor: replaces the key cursor, if not NULL
 * @encoding: replaces one message a record, if not NULL
 * @walker: the place of a walker in table->order
 * @batch: the page of columns in the making
 *
 * start() allocates it and sets all of it; done() frees it. The last three are for
 * compare/, and so is each cursor but that of since.
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
 * @next: the key cursor: the smallest id not sent yet; with since, a generation
 * @args: the cursors bucket and index, which know it as cb->args
 * @dump: what the dump asks for
 * @ended: dumpit() reached the end, so the dump was not abandoned
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
 * @table: the table
 * @dump: what the dump asks for
 * @skb: the page itself
 * @cb: the dump, as the core knows it
 * @room: size of the page in bytes
 * @records: records on it so far
 * @scanned: entries, and places of walkers, looked at for them
 * @patience: how many more to look at before others must run
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

/* Counts one look. Returns false if others must run first. */
static inline bool bulkdump_page_may_look(struct bulkdump_page *page)
{
	if (!page->patience)
		return false;
	page->patience--;
	return true;
}

/*
 * Offers the next entry to the page. Returns 0 if the entry is on the page, or is
 * filtered out. Otherwise the next walk begins with it: -EMSGSIZE if the page has
 * no room, -EAGAIN if others must run.
 */
int bulkdump_page_add(struct bulkdump_page *page,
		      const struct bulkdump_entry *e);

/**
 * struct bulkdump_cursor_ops - another way to remember a place
 * @start: sets the cursor to the start; may be NULL
 * @walk: offers entries to the page from the cursor on, and moves the cursor.
 *	Under rcu_read_lock(). Returns 0 at the end of the table, or what
 *	bulkdump_page_add() returned, or another error, which ends the dump.
 * @done: undoes @start; may be NULL
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

/* A dump with since sends changes, and deleted entries among them. */
static inline bool bulkdump_dump_is_delta(const struct bulkdump_dump *dump)
{
	return dump->cursor == &bulkdump_cursor_since;
}

/**
 * struct bulkdump_encoding_ops - another way to write records
 * @overhead: how many bytes more a page needs than with plain messages
 * @start: allocates dump->batch, which is freed with the dump; may be NULL
 * @put: puts a whole entry on the page, or nothing and returns -EMSGSIZE
 * @put_deleted: the same for a deleted entry; NULL for a plain message
 * @finish: completes a page that has records; may be NULL
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
