/* SPDX-License-Identifier: GPL-2.0-only */
/* What the dump is made of: a request, a cursor, an encoding, a page. */
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
 * @cursor: how it remembers its place
 * @encoding: how it writes records
 * @fields: what of an entry it sends, BULKDUMP_FIELD_*
 * @filtered: the request may leave entries out
 * @id_from: the smallest id to send
 * @id_to: the largest id to send
 * @flags: what an entry's flags must be, under @flags_mask
 * @flags_mask: 0 if it does not matter
 * @prefix_len: of @prefix; 0 if the name does not matter
 * @prefix: what a name must begin with
 * @since: send what changed after this generation, and not after @generation
 * @generation: the table's when the dump started
 * @walker: the place of a walker, in table->order
 * @batch: the page that is being made of columns
 * @memory: bytes that all this takes
 *
 * Allocated by start(), which sets all of it, and freed by done().
 */
struct bulkdump_dump {
	const struct bulkdump_cursor_ops *cursor;
	const struct bulkdump_encoding_ops *encoding;
	u32 fields;

	bool filtered;
	u32 id_from;
	u32 id_to;
	u32 flags;
	u32 flags_mask;
	u8 prefix_len;
	char prefix[BULKDUMP_NAME_LEN_MAX + 1];

	u64 since;
	u64 generation;

	struct bulkdump_node walker;
	struct bulkdump_batch *batch;
	size_t memory;
};

#define BULKDUMP_FIELDS_ALL						\
	(BULKDUMP_FIELD_NAME | BULKDUMP_FIELD_FLAGS |			\
	 BULKDUMP_FIELD_VALUE | BULKDUMP_FIELD_PAYLOAD |		\
	 BULKDUMP_FIELD_STATS | BULKDUMP_FIELD_GENERATION)

/**
 * struct bulkdump_ctx - what a dump remembers from page to page
 * @next_id: the place of a key cursor: the smallest id not sent yet
 * @next_generation: the place of a dump with since
 * @args: the place of the older cursors, as they know it: cb->args
 * @dump: the rest; set by start()
 * @ended: dumpit() came to its end, so the dump was not abandoned; for done()
 *
 * It lies in cb->ctx, which is the same storage as cb->args.
 */
struct bulkdump_ctx {
	union {
		u32 next_id;
		u64 next_generation;
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

/**
 * struct bulkdump_cursor_ops - a way to remember a place
 * @start: put the cursor at the start of what is asked for; may be NULL
 * @walk: offer entries to the page from the cursor on, and move it. Under
 *	rcu_read_lock(). Returns 0 at the end of the table, else the error of
 *	the entry at the cursor, or of its own, which ends the dump.
 * @place: where it is, as a number for the trace; may be NULL
 * @done: let go of what start took; may be NULL
 */
struct bulkdump_cursor_ops {
	int (*start)(struct bulkdump_table *table,
		     struct netlink_callback *cb);
	int (*walk)(struct bulkdump_page *page);
	u64 (*place)(const struct bulkdump_ctx *ctx);
	void (*done)(struct bulkdump_table *table,
		     struct netlink_callback *cb);
};

extern const struct bulkdump_cursor_ops bulkdump_cursor_key;
extern const struct bulkdump_cursor_ops bulkdump_cursor_bucket;
extern const struct bulkdump_cursor_ops bulkdump_cursor_index;
extern const struct bulkdump_cursor_ops bulkdump_cursor_walker;
extern const struct bulkdump_cursor_ops bulkdump_cursor_since;

/**
 * struct bulkdump_encoding_ops - a way to write records
 * @overhead: what a page needs more than the plain one, for the same record
 * @start: allocate dump->batch, which is freed with the dump; may be NULL
 * @put: put an entry at the end of the page: whole, or -EMSGSIZE and not at all
 * @put_deleted: the same, of one that was deleted
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

extern const struct bulkdump_encoding_ops bulkdump_encoding_plain;
extern const struct bulkdump_encoding_ops bulkdump_encoding_direct;
extern const struct bulkdump_encoding_ops bulkdump_encoding_columns;

/* What every message of the page begins with; NULL if there is no room. */
void *bulkdump_page_put_header(struct bulkdump_page *page);

/* Set what the request asks for, with extack when it is refused. */
int bulkdump_dump_parse(struct bulkdump_dump *dump,
			const struct sk_buff *request,
			const struct genl_info *info);
/* A dump with since: of changes, not of the table. */
static inline bool bulkdump_dump_is_delta(const struct bulkdump_dump *dump)
{
	return dump->cursor == &bulkdump_cursor_since;
}

bool bulkdump_dump_wants(const struct bulkdump_dump *dump,
			 const struct bulkdump_entry *e);

/* For a cursor that looks at what is no entry: false if others must run. */
static inline bool bulkdump_page_may_look(struct bulkdump_page *page)
{
	if (!page->patience)
		return false;
	page->patience--;
	return true;
}

/*
 * Offer the next entry, or the next deleted one, to the page. Returns 0 if it
 * is in it or is not asked for. Else it is the first one of the next page, or
 * the next call: -EMSGSIZE if it found no room, -EAGAIN if others must run.
 */
static inline int bulkdump_page_add(struct bulkdump_page *page,
				    const struct bulkdump_entry *e)
{
	const struct bulkdump_dump *dump = page->dump;
	int err;

	if (!bulkdump_page_may_look(page))
		return -EAGAIN;
	if (dump->filtered && !bulkdump_dump_wants(dump, e))
		return 0;
	err = dump->encoding->put(page, e);
	if (!err)
		page->records++;
	return err;
}

int bulkdump_page_add_deleted(struct bulkdump_page *page, u32 id,
			      u64 generation);

/* As the plain encoding does it. */
int bulkdump_plain_put_deleted(struct bulkdump_page *page, u32 id,
			       u64 generation);

/* The attributes of an entry; -EMSGSIZE if they find no room. */
int bulkdump_entry_fill(struct sk_buff *skb, const struct bulkdump_entry *e,
			u32 fields);
int bulkdump_entry_fill_deleted(struct sk_buff *skb, u32 id, u64 generation);

#endif /* BULKDUMP_DUMP_H */
