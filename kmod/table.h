/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The table: one per network namespace. Its entries are held by id, by name, in
 * order of creation and in order of their last change, because dumps walk in
 * all of these orders.
 *
 * The locks, each with what it protects, in the order in which they are taken:
 *
 *   table->lock		a mutex: all of the table against other writers
 *   table->guard	readers against the writer, if the module is loaded with
 *			guard=grab (guard.h); else nothing
 *   rcu_read_lock()	entries against their end: a reader sees each of them
 *			whole, as a change replaces it by a copy; only the
 *			counters of lookups change in place
 *   table->order_lock	a spinlock: the list of entries and walkers
 *   guard->lock	a spinlock: the guard itself; never with order_lock
 *
 * A writer takes the first, the second and, for a moment, the fourth; a reader
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
 * struct bulkdump_node - what the list in order of creation is made of
 * @list: in table->order
 * @walker: a dump's place in the list, not an entry
 */
struct bulkdump_node {
	struct list_head list;
	bool walker;
};

/**
 * struct bulkdump_entry - one entry
 * @id: the key
 * @flags: the user's
 * @value: the user's
 * @generation: of the table, at this entry's last change
 * @created: ns since the epoch
 * @updated: ns since the epoch
 * @hits: lookups that found it
 * @bytes: payload bytes that those returned
 * @by_name: in a bucket of the table's names
 * @node: in the list in order of creation
 * @rcu: for the free after the last reader
 * @payload_len: bytes of payload
 * @name_len: bytes of name, without the NUL
 * @data: the name, its NUL, the payload
 */
struct bulkdump_entry {
	u32 id;
	u32 flags;
	u64 value;
	u64 generation;
	u64 created;
	u64 updated;
	atomic64_t hits;
	atomic64_t bytes;
	struct hlist_node by_name;
	struct bulkdump_node node;
	struct rcu_head rcu;
	u16 payload_len;
	u8 name_len;
	char data[];
};

static inline const char *bulkdump_entry_payload(const struct bulkdump_entry *e)
{
	return e->data + e->name_len + 1;
}

/**
 * struct bulkdump_values - what a request says of an entry
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
 * struct bulkdump_size - the records of about one size, within a KiB
 * @count: how many there are
 * @max: the largest one since there was none
 */
struct bulkdump_size {
	u32 count;
	u32 max;
};

/**
 * struct bulkdump_table - the entries of one network namespace
 * @lock: held by writers; protects everything down to @record_max against
 *	other writers
 * @entries: id to entry
 * @names: buckets by hash of the name; allocated with the first entry, so
 *	that a namespace without entries costs nothing
 * @log: generation to what changed then (log.h)
 * @log_floor: the log knows what changed after this generation
 * @tombstones: deleted entries in the log
 * @count: number of entries
 * @bytes: memory that they occupy
 * @sizes: their records, counted by size
 * @sizes_used: which of @sizes has any
 * @record_max: no record of a dump is larger; not far below is one
 * @order: all entries in order of creation, and the places of walkers
 * @order_lock: protects @order; taken under @lock by writers
 * @guard: who may read and write, and when
 * @begun: the last generation whose change began
 * @completed: the last generation whose change is in the table
 * @netns: the inode number of the namespace, for the trace
 * @dumps_started: dumps whose start succeeded
 * @dumps_finished: of those, the ones that came to their end
 * @dumps_abandoned: of those, the ones whose socket was closed before
 * @dumps_interrupted: finished ones during which the table changed
 * @dumps_memory: bytes that open ones hold
 * @pages: pages with at least one record
 * @records: records sent
 * @scanned: entries, and places of walkers, looked at for that
 */
struct bulkdump_table {
	struct mutex lock;	/* of writers */
	struct xarray entries;
	struct hlist_head *names;
	struct xarray log;
	u64 log_floor;
	u32 tombstones;
	u32 count;
	u64 bytes;
	struct bulkdump_size sizes[BULKDUMP_SIZES];
	u64 sizes_used;
	u32 record_max;

	struct list_head order;
	spinlock_t order_lock;	/* of the list above */
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

/* How many entries are looked at before others may run. */
#define BULKDUMP_PATIENCE 4096

extern unsigned int bulkdump_max_entries;

/* Under rcu_read_lock(); the entry is valid until the unlock. */
struct bulkdump_entry *bulkdump_table_find(struct bulkdump_table *table,
					   u32 id);
/* Under table->lock. */
bool bulkdump_table_has(struct bulkdump_table *table, u32 id);

/* For writers; a fill may hold it for long, so a task that waits can be killed. */
int bulkdump_table_lock(struct bulkdump_table *table);
void bulkdump_table_unlock(struct bulkdump_table *table);

/*
 * Changes, under table->lock. Each is in the table when it returns 0, and
 * leaves the entries as they were when it fails, with extack set unless the task
 * was killed. The entry that new and set give back is valid until the unlock.
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
 * The pieces that a change is made of; all under table->lock, in this order.
 * What can fail comes before bulkdump_write_begin().
 */
struct bulkdump_entry *bulkdump_entry_alloc(u8 name_len, u16 payload_len);
/* Room for a new entry with the id and the generation. */
int bulkdump_table_reserve(struct bulkdump_table *table, u32 id,
			   u64 generation, struct netlink_ext_ack *extack);
void bulkdump_table_unreserve(struct bulkdump_table *table, u32 id,
			      u64 generation);
/*
 * For readers, around what they read: the generation whose changes are all in
 * it, and the one that nothing in it is newer than. If they are one, what was
 * read is one state of the table.
 */
u64 bulkdump_generation_begin(const struct bulkdump_table *table);
u64 bulkdump_generation_end(const struct bulkdump_table *table);

/* The generation that the next change makes. */
u64 bulkdump_change_next(const struct bulkdump_table *table);
void bulkdump_change_begin(struct bulkdump_table *table, u32 changes);
/* Into the room that was reserved. */
void bulkdump_entry_insert(struct bulkdump_table *table,
			   struct bulkdump_entry *e);
/* From everywhere but the log. */
void bulkdump_entry_remove(struct bulkdump_table *table,
			   struct bulkdump_entry *e);
void bulkdump_change_end(struct bulkdump_table *table);

/* The ids in use; false when the table is empty. */
bool bulkdump_table_bounds(struct bulkdump_table *table, u32 *min, u32 *max);

/*
 * A size that every record fits in which is found from here on, but for those
 * that are made meanwhile.
 */
static inline u32 bulkdump_record_max(const struct bulkdump_table *table)
{
	/* Pairs with the release in record_max_update(). */
	return smp_load_acquire(&table->record_max);
}

/* The size of an entry's record in a dump: a netlink message, in bytes (fill.c). */
u32 bulkdump_record_size(u8 name_len, u16 payload_len);

#endif /* BULKDUMP_TABLE_H */
