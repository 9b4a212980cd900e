// SPDX-License-Identifier: GPL-2.0-only
/* The hash on names: buckets of a fixed number, made with the first entry. */

#include <linux/moduleparam.h>
#include <linux/slab.h>
#include <linux/stringhash.h>

#include "table.h"

static unsigned int hash_bits = 16;
module_param(hash_bits, uint, 0444);
MODULE_PARM_DESC(hash_bits, "log2 of the buckets of the hash on the name, 4 to 24");

int __init bulkdump_names_check(void)
{
	if (hash_bits >= 4 && hash_bits <= 24)
		return 0;
	pr_err("bulkdump: hash_bits=%u is not in 4..24\n", hash_bits);
	return -EINVAL;
}

struct hlist_head *bulkdump_table_names(struct bulkdump_table *table)
{
	/* Pairs with the release in bulkdump_names_alloc(). */
	return smp_load_acquire(&table->names);
}

u32 bulkdump_buckets(void)
{
	return 1U << hash_bits;
}

/*
 * Not salted: who wants all entries in one bucket gives them one name. So the
 * same names are in the same buckets each time, and figures can be repeated.
 */
static struct hlist_head *name_bucket(struct hlist_head *names,
				      const char *name)
{
	return &names[full_name_hash(NULL, name, strlen(name)) &
		      (bulkdump_buckets() - 1)];
}

struct bulkdump_entry *bulkdump_table_find_name(struct bulkdump_table *table,
						const char *name)
{
	struct hlist_head *names = bulkdump_table_names(table);
	struct bulkdump_entry *e, *found = NULL;

	if (!names)
		return NULL;
	hlist_for_each_entry_rcu(e, name_bucket(names, name), by_name)
		if (!strcmp(e->data, name) && (!found || e->id < found->id))
			found = e;
	return found;
}

int bulkdump_names_alloc(struct bulkdump_table *table)
{
	struct hlist_head *names;

	if (table->names)
		return 0;
	names = kvcalloc(bulkdump_buckets(), sizeof(*names), GFP_KERNEL_ACCOUNT);
	if (!names)
		return -ENOMEM;
	/* Readers find the buckets empty, never uninitialised. */
	smp_store_release(&table->names, names);
	return 0;
}

void bulkdump_names_add(struct bulkdump_table *table, struct bulkdump_entry *e)
{
	hlist_add_head_rcu(&e->by_name, name_bucket(table->names, e->data));
}

void bulkdump_names_replace(struct bulkdump_table *table,
			    struct bulkdump_entry *old,
			    struct bulkdump_entry *e)
{
	/* In its place, if it can be: a bucket cursor does not see it move. */
	if (!strcmp(old->data, e->data)) {
		hlist_replace_rcu(&old->by_name, &e->by_name);
		return;
	}
	bulkdump_names_add(table, e);
	hlist_del_rcu(&old->by_name);
}
