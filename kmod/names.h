/* SPDX-License-Identifier: GPL-2.0-only */
/* The hash on names. */
#ifndef BULKDUMP_NAMES_H
#define BULKDUMP_NAMES_H

#include "table.h"

/**
 * struct bulkdump_search - a search for a name, which may take several calls
 * @name: what is searched for
 * @by_id: the bucket was too long: go through the ids
 * @next_id: the smallest one not looked at yet
 *
 * All but @name is zero before the first call.
 */
struct bulkdump_search {
	const char *name;
	bool by_id;
	u32 next_id;
};

/*
 * Under rcu_read_lock(). Of several entries with the name, the one with the
 * smallest id. -EAGAIN, as an ERR_PTR(), if others must run before it goes on with
 * the same search.
 */
struct bulkdump_entry *bulkdump_table_find_name(struct bulkdump_table *table,
						struct bulkdump_search *search);

/* The buckets: NULL as long as there was no entry. And how many they are. */
struct hlist_head *bulkdump_table_names(struct bulkdump_table *table);
u32 bulkdump_buckets(void);

/* The module parameters: their range, and what follows from them. */
int bulkdump_names_init(void);

/* Under table->lock; the second and third only after the first. */
int bulkdump_names_alloc(struct bulkdump_table *table);
void bulkdump_names_add(struct bulkdump_table *table, struct bulkdump_entry *e);
void bulkdump_names_replace(struct bulkdump_table *table,
			    struct bulkdump_entry *old,
			    struct bulkdump_entry *e);

#endif /* BULKDUMP_NAMES_H */
