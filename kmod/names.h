/* SPDX-License-Identifier: GPL-2.0-only */
/* The hash table of names. */
#ifndef BULKDUMP_NAMES_H
#define BULKDUMP_NAMES_H

#include "table.h"

/**
 * struct bulkdump_search - a search for a name, which may take several calls
 * @name: what is searched for
 * @by_id: the bucket was too long, so the search goes through the ids
 * @next_id: the smallest id not looked at yet
 *
 * All but @name is zero before the first call.
 */
struct bulkdump_search {
	const char *name;
	bool by_id;
	u32 next_id;
};

/*
 * Under rcu_read_lock(). Returns the entry with the name and, if there are
 * several, the smallest id; NULL if there is none; or ERR_PTR(-EAGAIN) if the
 * caller must let others run and then call again with the same @search.
 */
struct bulkdump_entry *bulkdump_table_find_name(struct bulkdump_table *table,
						struct bulkdump_search *search);

/* The buckets, or NULL if the table never had an entry; and their number. */
struct hlist_head *bulkdump_table_names(struct bulkdump_table *table);
u32 bulkdump_buckets(void);

/* Checks the module parameters. */
int bulkdump_names_init(void);

/* Under table->lock; the second and third only after the first. */
int bulkdump_names_alloc(struct bulkdump_table *table);
void bulkdump_names_add(struct bulkdump_table *table, struct bulkdump_entry *e);
void bulkdump_names_replace(struct bulkdump_table *table,
			    struct bulkdump_entry *old,
			    struct bulkdump_entry *e);

#endif /* BULKDUMP_NAMES_H */
