/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The table: one per network namespace. Entries are found by id, by name, in
 * order of creation and in order of their last change, because dumps walk in
 * each of these orders.
 *
 * The locks and what they protect, in the order in which they are taken:
 *
 *   table->lock		a mutex: the table against other writers
 *   table->guard	readers from the writer, if the module is loaded with
 *			guard=grab (guard.h); otherwise nothing
 *   rcu_read_lock()	entries from being freed. A change replaces an entry
 *			by a copy, so a reader sees each entry whole. Only
 *			the counters of lookups change in place
 *   table->order_lock	a spinlock: the list of entries and walkers
 *   guard->lock	a spinlock: the guard itself. Never with order_lock
 *
 * A writer takes the first, the second and, briefly, the fourth. A reader takes
 * the second, the third and, with a walker, the fourth.
 */
#ifndef BULKDUMP_TABLE_H
#define BULKDUMP_TABLE_H

#include <linux/atomic.h>
#include <linux/mutex.h>
#include <linux/netlink.h>
#include <linux/rculist.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/xarray.h>
#include <net/net_namespace.h>

#include <uapi/linux/bulkdump.h>

#include "guard.h"

/**
 * struct bulkdump_node - a node of the list in order of creation
 * @list: in table->order
 * @walker: true for the place of a dump, false for an entry
 */
struct bulkdump_node {
	struct list_head list;
	bool walker;
};

/**
 * struct bulkdump_entry - one entry
 * @created: ns since the epoch
 * @updated: ns since the epoch
 * @hits: how many lookups found it
 * @bytes: payload bytes that they returned
 * @by_name: in a bucket of table->names
 * @node: in table->order
 * @rcu: frees it after the last reader
 * @generation: the table's at the last change of the entry
 * @value: the user's
 * @id: the key
 * @flags: the user's
 * @payload_len: bytes of payload
 * @name_len: bytes of name, without the NUL
 * @data: the name, its NUL, the payload
 *
 * A dump waits for memory more than for anything else, and most dumps want the
 * members from @generation on. So these are neighbours.
 */
struct bulkdump_entry {
	u64 created;
	u64 updated;
	atomic64_t hits;
	atomic64_t bytes;
	struct hlist_node by_name;
	struct bulkdump_node node;
	struct rcu_head rcu;
	u64 generation;
	u64 value;
	u32 id;
	u32 flags;
	u16 payload_len;
	u8 name_len;
	char data[];
};

static inline const char *bulkdump_entry_payload(const struct bulkdump_entry *e)
{
	return e->data + e->name_len + 1;
}

/**
 * struct bulkdump_values - the values that a request gives an entry
 * @id: the key
 * @flags: NULL if not given
 * @value: NULL if not given
 * @name: NULL if not given; NUL-terminated
 * @payload: NULL if not given
 * @name_len: bytes of @name without the NUL
 * @payload_len: bytes of @payload
 */
struct bulkdump_values {
	u32 id;
	const u32 *flags;
	const u64 *value;
	const char *name;
	const void *payload;
	u8 name_len;
	u16 payload_len;
};

#define BULKDUMP_SIZES 64

/**
 * struct bulkdump_size - the records whose sizes are in the same KiB
 * @count: how many there are
 * @max: the largest since @count was last 0
 */
struct bulkdump_size {
	u32 count;
	u32 max;
};

/**
 * struct bulkdump_table - the entries of one network namespace
 * @lock: keeps writers apart; protects everything down to @record_max
 * @entries: id to entry
 * @names: the hash table of names; allocated with the first entry, so that a
 *	namespace without entries costs nothing
 * @log: the change log: generation to what changed then (changelog.h)
 * @log_base: the generation that has index 0 in the change log
 * @log_floor: the change log has everything that changed after this generation
 * @tombstones: number of deleted entries in the change log
 * @count: number of entries
 * @bytes: memory that they take
 * @sizes: their records, counted by size
 * @sizes_used: bitmap: which of @sizes are not empty
 * @record_max: no record is larger, and one is not much smaller
 * @order: all entries in order of creation, and the places of walkers
 * @order_lock: protects @order
 * @guard: who waits for whom
 * @begun: the last generation whose change began
 * @completed: the last generation whose change is complete
 * @netns: the inode number of the namespace, for trace events
 * @dumps_started: dumps whose start() succeeded
 * @dumps_finished: those that reached their end
 * @dumps_abandoned: those whose socket was closed before
 * @dumps_interrupted: finished dumps during which the table changed
 * @dumps_memory: bytes that open dumps take
 * @pages: pages with at least one record
 * @records: records sent
 * @scanned: entries, and places of walkers, looked at for them
 */
struct bulkdump_table {
	struct mutex lock;	/* keeps writers apart */
	struct xarray entries;
	struct hlist_head *names;
	struct xarray log;
	atomic64_t log_base;
	atomic64_t log_floor;
	u32 tombstones;
	u32 count;
	u64 bytes;
	struct bulkdump_size sizes[BULKDUMP_SIZES];
	u64 sizes_used;
	u32 record_max;

	struct list_head order;
	spinlock_t order_lock;	/* protects the list above */
	struct bulkdump_guard guard;
	unsigned int netns;

	atomic64_t begun;
	atomic64_t completed;

	atomic64_t dumps_started;
	atomic64_t dumps_finished;
	atomic64_t dumps_abandoned;
	atomic64_t dumps_interrupted;
	atomic64_t dumps_memory;
	atomic64_t pages;
	atomic64_t records;
	atomic64_t scanned;
};

/* How many entries a scan looks at before it lets others run. */
#define BULKDUMP_PATIENCE 4096

extern unsigned int bulkdump_max_entries;

/* Under rcu_read_lock(). The entry is valid until the unlock. */
struct bulkdump_entry *bulkdump_table_find(struct bulkdump_table *table,
					   u32 id);
/* Under table->lock. */
bool bulkdump_table_has(struct bulkdump_table *table, u32 id);

/*
 * Returns -EINTR if the task is killed while it waits: a fill takes long. For a
 * signal that does not kill, it would be wrong. The core takes -EINTR from doit()
 * for a dump that has started, and sends no answer (netlink_rcv_skb()).
 */
int bulkdump_table_lock(struct bulkdump_table *table);
void bulkdump_table_unlock(struct bulkdump_table *table);

/*
 * Changes, under table->lock. A change is complete when it returns 0. One that
 * fails leaves the entries as they were, and sets extack unless the task was
 * killed. @made is valid until the unlock.
 */
int bulkdump_table_new(struct bulkdump_table *table,
		       const struct bulkdump_values *values,
		       const struct bulkdump_entry **made,
		       struct netlink_ext_ack *extack);
int bulkdump_table_set(struct bulkdump_table *table,
		       const struct bulkdump_values *values,
		       const struct bulkdump_entry **made,
		       struct netlink_ext_ack *extack);
int bulkdump_table_del(struct bulkdump_table *table, u32 id, u64 *generation,
		       struct netlink_ext_ack *extack);
int bulkdump_table_flush(struct bulkdump_table *table, u32 *count,
			 u64 *generation);

/*
 * The steps of a change, in this order, under table->lock. Those that can fail
 * come before bulkdump_write_begin().
 */
struct bulkdump_entry *bulkdump_entry_alloc(u8 name_len, u16 payload_len);
/* Makes room for a new entry with this id and generation. */
int bulkdump_table_reserve(struct bulkdump_table *table, u32 id,
			   u64 generation, struct netlink_ext_ack *extack);
void bulkdump_table_unreserve(struct bulkdump_table *table, u32 id,
			      u64 generation);
/*
 * For readers, before and after they read. All changes up to the first
 * generation are in what was read, and none after the second. If the two are
 * equal, the reader saw one state of the table.
 */
u64 bulkdump_generation_begin(const struct bulkdump_table *table);
u64 bulkdump_generation_end(const struct bulkdump_table *table);

/* The generation of the next change. */
u64 bulkdump_change_next(const struct bulkdump_table *table);
void bulkdump_change_begin(struct bulkdump_table *table, u32 changes);
/* Takes the room that was reserved. */
void bulkdump_entry_insert(struct bulkdump_table *table,
			   struct bulkdump_entry *e);
/* Removes it from everything but the change log. */
void bulkdump_entry_remove(struct bulkdump_table *table,
			   struct bulkdump_entry *e);
void bulkdump_change_end(struct bulkdump_table *table);

/* The smallest and the largest id. Returns false if the table is empty. */
bool bulkdump_table_bounds(struct bulkdump_table *table, u32 *min, u32 *max);

/*
 * The size of the largest record that the caller can find from here on, unless a
 * larger one is made meanwhile.
 */
static inline u32 bulkdump_record_max(const struct bulkdump_table *table)
{
	/* Pairs with the release in record_max_update(). */
	return smp_load_acquire(&table->record_max);
}

/* The size of an entry's record, a netlink message, in bytes (fill.c). */
u32 bulkdump_record_size(u8 name_len, u16 payload_len);

#endif /* BULKDUMP_TABLE_H */
