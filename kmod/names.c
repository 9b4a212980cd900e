// SPDX-License-Identifier: GPL-2.0-only
/* The hash table of names. Its size is fixed; the first entry allocates it. */

#include <linux/err.h>
#include <linux/moduleparam.h>
#include <linux/random.h>
#include <linux/siphash.h>
#include <linux/slab.h>

#include "names.h"

static unsigned int hash_bits = 16;
module_param(hash_bits, uint, 0444);
MODULE_PARM_DESC(hash_bits, "log2 of the number of buckets in the hash table of names, 4 to 24");

static unsigned long hash_salt;
module_param(hash_salt, ulong, 0444);
MODULE_PARM_DESC(hash_salt, "salt of that hash table, for figures that can be repeated; 0, the default, takes a random one");

/* Keeps users from choosing names that all fall into one bucket. */
static siphash_key_t salt __ro_after_init;

int __init bulkdump_names_init(void)
{
	if (hash_bits < 4 || hash_bits > 24) {
		pr_err("bulkdump: hash_bits=%u is not in 4..24\n", hash_bits);
		return -EINVAL;
	}
	if (hash_salt)
		salt.key[0] = hash_salt;
	else
		get_random_bytes(&salt, sizeof(salt));
	return 0;
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

static struct hlist_head *name_bucket(struct hlist_head *names,
				      const char *name)
{
	return &names[siphash(name, strlen(name), &salt) &
		      (bulkdump_buckets() - 1)];
}

static struct bulkdump_entry *find_in_bucket(struct bulkdump_table *table,
					     struct bulkdump_search *search)
{
	struct hlist_head *names = bulkdump_table_names(table);
	struct bulkdump_entry *e, *found = NULL;
	u32 patience = BULKDUMP_PATIENCE;

	if (!names)
		return NULL;
	hlist_for_each_entry_rcu(e, name_bucket(names, search->name), by_name) {
		if (!patience--) {
			search->by_id = true;
			return ERR_PTR(-EAGAIN);
		}
		if (!strcmp(e->data, search->name) &&
		    (!found || e->id < found->id))
			found = e;
	}
	return found;
}

static struct bulkdump_entry *find_by_id(struct bulkdump_table *table,
					 struct bulkdump_search *search)
{
	XA_STATE(xas, &table->entries, search->next_id);
	u32 patience = BULKDUMP_PATIENCE;
	struct bulkdump_entry *e;

	xas_for_each(&xas, e, U32_MAX) {
		if (xas_retry(&xas, e))
			continue;
		if (!patience--) {
			search->next_id = e->id;
			return ERR_PTR(-EAGAIN);
		}
		if (!strcmp(e->data, search->name))
			return e;
	}
	return NULL;
}

/*
 * A place in a bucket does not stay valid while others run. So if a bucket is
 * too long for one call, the search goes through the ids instead and remembers
 * the next one, as a dump does. Ids rise, so the first match is the smallest.
 */
struct bulkdump_entry *bulkdump_table_find_name(struct bulkdump_table *table,
						struct bulkdump_search *search)
{
	return search->by_id ? find_by_id(table, search) :
			       find_in_bucket(table, search);
}

int bulkdump_names_alloc(struct bulkdump_table *table)
{
	struct hlist_head *names;

	if (table->names)
		return 0;
	/* vmalloc() warns at the limit of a control group. Anybody can get there. */
	names = kvcalloc(bulkdump_buckets(), sizeof(*names),
			 GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	if (!names)
		return -ENOMEM;
	/* Readers see empty buckets, never uninitialised ones. */
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
	/* In place if the name stays, so that a bucket cursor sees no move. */
	if (!strcmp(old->data, e->data)) {
		hlist_replace_rcu(&old->by_name, &e->by_name);
		return;
	}
	bulkdump_names_add(table, e);
	hlist_del_rcu(&old->by_name);
}
