/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The table: one per network namespace, entries by id and by name.
 *
 * Writers hold table->lock. Readers hold rcu_read_lock() and see each entry
 * whole: a change replaces the entry by a copy, only the counters of lookups
 * change in place.
 */
#ifndef BULKDUMP_TABLE_H
#define BULKDUMP_TABLE_H

#include <linux/atomic.h>
#include <linux/mutex.h>
#include <linux/netlink.h>
#include <linux/rculist.h>
#include <linux/types.h>
#include <linux/xarray.h>
#include <net/net_namespace.h>

#include <uapi/linux/bulkdump.h>

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

/**
 * struct bulkdump_fill - what to fill in
 * @count: how many entries, at least one
 * @id_start: the first id
 * @id_stride: from one id to the next, at least one
 * @payload_min: bytes
 * @payload_max: bytes, at least @payload_min
 * @seed: everything else follows from it
 * @generation: out: the generation with all of them in it
 * @checksum: out: of the new entries, as bulkdump.yaml defines it
 */
struct bulkdump_fill {
	u32 count;
	u32 id_start;
	u32 id_stride;
	u16 payload_min;
	u16 payload_max;
	u64 seed;
	u64 generation;
	u64 checksum;
};

/**
 * struct bulkdump_table - the entries of one network namespace
 * @lock: held by writers; protects everything down to @record_max against
 *	other writers
 * @entries: id to entry
 * @names: buckets by hash of the name; allocated with the first entry, so
 *	that a namespace without entries costs nothing
 * @count: number of entries
 * @bytes: memory that they occupy
 * @record_max: largest record of a dump since the table was last empty
 * @begun: the last generation whose change began
 * @completed: the last generation whose change is in the table
 * @dumps_started: dumps whose start succeeded
 * @dumps_finished: of those, the ones that came to their end
 * @dumps_abandoned: of those, the ones whose socket was closed before
 * @dumps_interrupted: finished ones during which the table changed
 * @pages: pages with at least one record
 * @records: records sent
 */
struct bulkdump_table {
	struct mutex lock;	/* of writers */
	struct xarray entries;
	struct hlist_head *names;
	u32 count;
	u64 bytes;
	u32 record_max;

	atomic64_t begun;
	atomic64_t completed;

	atomic64_t dumps_started;
	atomic64_t dumps_finished;
	atomic64_t dumps_abandoned;
	atomic64_t dumps_interrupted;
	atomic64_t pages;
	atomic64_t records;
};

extern unsigned int bulkdump_max_entries;

struct bulkdump_table *bulkdump_table(struct net *net);
int bulkdump_table_register(void);
void bulkdump_table_unregister(void);

/* Under rcu_read_lock(); the entry is valid until the unlock. */
struct bulkdump_entry *bulkdump_table_find(struct bulkdump_table *table,
					   u32 id);
/* Of several entries with the name, the one with the smallest id. */
struct bulkdump_entry *bulkdump_table_find_name(struct bulkdump_table *table,
						const char *name);

/*
 * Changes. Each is in the table when it returns 0, with the generation that
 * it made, and leaves the table as it was when it fails, with extack set.
 */
int bulkdump_table_new(struct bulkdump_table *table,
		       const struct bulkdump_values *values, u64 *generation,
		       struct netlink_ext_ack *extack);
int bulkdump_table_set(struct bulkdump_table *table,
		       const struct bulkdump_values *values, bool create,
		       u64 *generation, struct netlink_ext_ack *extack);
int bulkdump_table_del(struct bulkdump_table *table, u32 id, u64 *generation,
		       struct netlink_ext_ack *extack);
int bulkdump_table_fill(struct bulkdump_table *table,
			struct bulkdump_fill *fill,
			struct netlink_ext_ack *extack);
int bulkdump_table_flush(struct bulkdump_table *table, u32 *count,
			 u64 *generation);

/* For writers; a fill may hold it for long, so who waits can be killed. */
int bulkdump_table_lock(struct bulkdump_table *table);

/* The pieces that a change is made of; all under table->lock. */
u64 bulkdump_change_begin(struct bulkdump_table *table, u32 changes);
void bulkdump_change_end(struct bulkdump_table *table);
struct bulkdump_entry *bulkdump_entry_alloc(u8 name_len, u16 payload_len);
int bulkdump_entry_insert(struct bulkdump_table *table,
			  struct bulkdump_entry *e,
			  struct netlink_ext_ack *extack);
void bulkdump_entry_remove(struct bulkdump_table *table,
			   struct bulkdump_entry *e);

/* The ids in use; false when the table is empty. */
bool bulkdump_table_bounds(struct bulkdump_table *table, u32 *min, u32 *max);

/* The size of an entry's record in a dump: a netlink message, in bytes. */
u32 bulkdump_record_size(u8 name_len, u16 payload_len);

#endif /* BULKDUMP_TABLE_H */
