// SPDX-License-Identifier: GPL-2.0-only
/* The table: lookup, changes, accounting. */

#include <linux/bitops.h>
#include <linux/moduleparam.h>
#include <linux/sched.h>
#include <linux/sizes.h>
#include <linux/skbuff.h>
#include <linux/slab.h>
#include <linux/timekeeping.h>

#include "changelog.h"
#include "names.h"
#include "trace.h"

unsigned int bulkdump_max_entries = 16 << 20;
module_param_named(max_entries, bulkdump_max_entries, uint, 0444);
MODULE_PARM_DESC(max_entries, "how many entries a network namespace's table may have");

int bulkdump_table_lock(struct bulkdump_table *table)
{
	return mutex_lock_killable(&table->lock);
}

void bulkdump_table_unlock(struct bulkdump_table *table)
{
	mutex_unlock(&table->lock);
}

struct bulkdump_entry *bulkdump_table_find(struct bulkdump_table *table, u32 id)
{
	return xa_load(&table->entries, id);
}

bool bulkdump_table_has(struct bulkdump_table *table, u32 id)
{
	return xa_load(&table->entries, id);
}

/*
 * Two counters, because a page may be read in the middle of a change. @begun
 * rises before a reader can see anything of the change, @completed when all of
 * it is in place. A page saw one state of the table if @completed at its start
 * equals @begun at its end.
 */
u64 bulkdump_change_next(const struct bulkdump_table *table)
{
	return atomic64_read(&table->begun) + 1;
}

void bulkdump_change_begin(struct bulkdump_table *table, u32 changes)
{
	lockdep_assert_held(&table->lock);
	atomic64_add(changes, &table->begun);
	/* Pairs with smp_rmb() in bulkdump_generation_end(). */
	smp_wmb();
}

void bulkdump_change_end(struct bulkdump_table *table)
{
	/* Pairs with the acquire in bulkdump_generation_begin(). */
	atomic64_set_release(&table->completed, atomic64_read(&table->begun));
}

u64 bulkdump_generation_begin(const struct bulkdump_table *table)
{
	/* Pairs with the release in bulkdump_change_end(). */
	return atomic64_read_acquire(&table->completed);
}

u64 bulkdump_generation_end(const struct bulkdump_table *table)
{
	/* Pairs with smp_wmb() in bulkdump_change_begin(). */
	smp_rmb();
	return atomic64_read(&table->begun);
}

static size_t entry_size(u8 name_len, u16 payload_len)
{
	return offsetof(struct bulkdump_entry, data) + name_len + 1 +
	       payload_len;
}

struct bulkdump_entry *bulkdump_entry_alloc(u8 name_len, u16 payload_len)
{
	struct bulkdump_entry *e;

	/* vmalloc() warns at the limit of a control group. Anybody can get there. */
	e = kvmalloc(entry_size(name_len, payload_len),
		     GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	if (!e)
		return NULL;
	memset(e, 0, offsetof(struct bulkdump_entry, data));
	e->name_len = name_len;
	e->payload_len = payload_len;
	e->data[name_len] = '\0';
	e->created = ktime_get_real_ns();
	e->updated = e->created;
	return e;
}

/*
 * Sizes are counted by the KiB of a page that holds the record alone. So a
 * record that fits a page of 4 KiB, or 8, and so on, is never counted together
 * with one that does not.
 */
static struct bulkdump_size *size_of(struct bulkdump_table *table, u32 record)
{
	const u32 overhead = SKB_DATA_ALIGN(sizeof(struct skb_shared_info));

	/* 1 KiB for the name and all headers, then the payload. */
	BUILD_BUG_ON(SZ_1K + BULKDUMP_PAYLOAD_LEN_MAX + overhead >
		     BULKDUMP_SIZES * SZ_1K);
	return &table->sizes[(record + overhead - 1) / SZ_1K];
}

static void record_max_update(struct bulkdump_table *table)
{
	u32 max = 0;

	if (table->sizes_used)
		max = table->sizes[fls64(table->sizes_used) - 1].max;
	/*
	 * Readers size their pages by it without the lock. Pairs with the
	 * acquire in bulkdump_record_max(): a reader that sees a smaller size
	 * does not find the larger record any more.
	 */
	smp_store_release(&table->record_max, max);
}

/* Call it before a reader can find the entry: the page must have room. */
static void account(struct bulkdump_table *table,
		    const struct bulkdump_entry *e)
{
	u32 record = bulkdump_record_size(e->name_len, e->payload_len);
	struct bulkdump_size *size = size_of(table, record);

	table->bytes += entry_size(e->name_len, e->payload_len);
	size->max = max(size->max, record);
	if (!size->count++)
		table->sizes_used |= BIT_ULL(size - table->sizes);
	record_max_update(table);
}

/* Call it when no reader can find the entry any more. */
static void unaccount(struct bulkdump_table *table,
		      const struct bulkdump_entry *e)
{
	u32 record = bulkdump_record_size(e->name_len, e->payload_len);
	struct bulkdump_size *size = size_of(table, record);

	table->bytes -= entry_size(e->name_len, e->payload_len);
	if (!--size->count) {
		size->max = 0;
		table->sizes_used &= ~BIT_ULL(size - table->sizes);
	}
	record_max_update(table);
}

static int change_reserve(struct bulkdump_table *table, u64 generation,
			  struct netlink_ext_ack *extack)
{
	int err;

	bulkdump_changelog_fit(table, generation, 1);
	err = bulkdump_changelog_reserve(table, generation);
	if (err)
		NL_SET_ERR_MSG(extack, "no memory for the change log");
	return err;
}

int bulkdump_table_reserve(struct bulkdump_table *table, u32 id, u64 generation,
			   struct netlink_ext_ack *extack)
{
	int err;

	/* Checked before the change begins, so the generation does not rise. */
	if (xa_load(&table->entries, id)) {
		NL_SET_ERR_MSG(extack, "there is an entry with this id");
		return -EEXIST;
	}
	if (table->count >= bulkdump_max_entries) {
		NL_SET_ERR_MSG(extack, "the table is full (max_entries)");
		return -ENOSPC;
	}
	err = bulkdump_names_alloc(table);
	if (err) {
		NL_SET_ERR_MSG(extack, "no memory for the hash table of names");
		return err;
	}
	err = xa_reserve(&table->entries, id, GFP_KERNEL_ACCOUNT);
	if (err) {
		NL_SET_ERR_MSG(extack, "no memory for the id");
		return err;
	}
	err = change_reserve(table, generation, extack);
	if (err)
		xa_release(&table->entries, id);
	return err;
}

void bulkdump_table_unreserve(struct bulkdump_table *table, u32 id,
			      u64 generation)
{
	bulkdump_changelog_unreserve(table, generation);
	xa_release(&table->entries, id);
}

void bulkdump_entry_insert(struct bulkdump_table *table,
			   struct bulkdump_entry *e)
{
	account(table, e);
	xa_store(&table->entries, e->id, e, 0);
	bulkdump_names_add(table, e);
	spin_lock(&table->order_lock);
	list_add_tail(&e->node.list, &table->order);
	spin_unlock(&table->order_lock);
	table->count++;
	bulkdump_changelog_entry(table, e, 0);
}

void bulkdump_entry_remove(struct bulkdump_table *table,
			   struct bulkdump_entry *e)
{
	xa_erase(&table->entries, e->id);
	hlist_del_rcu(&e->by_name);
	spin_lock(&table->order_lock);
	list_del(&e->node.list);
	spin_unlock(&table->order_lock);
	unaccount(table, e);
	table->count--;
	kvfree_rcu(e, rcu);
}

/* A new entry with @values; what they lack comes from @old, if not NULL. */
static struct bulkdump_entry *entry_make(const struct bulkdump_values *values,
					 const struct bulkdump_entry *old)
{
	const void *payload = values->payload;
	u16 payload_len = values->payload_len;
	const char *name = values->name;
	u8 name_len = values->name_len;
	struct bulkdump_entry *e;

	if (old && !name) {
		name = old->data;
		name_len = old->name_len;
	}
	if (old && !payload) {
		payload = bulkdump_entry_payload(old);
		payload_len = old->payload_len;
	}
	e = bulkdump_entry_alloc(name_len, payload_len);
	if (!e)
		return NULL;
	memcpy(e->data, name, name_len);
	memcpy(e->data + name_len + 1, payload, payload_len);
	e->id = values->id;
	if (old) {
		e->flags = old->flags;
		e->value = old->value;
		e->created = old->created;
		/* The count of a lookup that runs right now is lost. */
		atomic64_set(&e->hits, atomic64_read(&old->hits));
		atomic64_set(&e->bytes, atomic64_read(&old->bytes));
	}
	if (values->flags)
		e->flags = *values->flags;
	if (values->value)
		e->value = *values->value;
	return e;
}

/* The copy takes the place of the old entry everywhere. */
static void entry_replace(struct bulkdump_table *table,
			  struct bulkdump_entry *old, struct bulkdump_entry *e)
{
	account(table, e);
	/* Cannot fail: the slot exists. */
	xa_store(&table->entries, e->id, e, 0);
	bulkdump_names_replace(table, old, e);
	spin_lock(&table->order_lock);
	list_replace(&old->node.list, &e->node.list);
	spin_unlock(&table->order_lock);
	bulkdump_changelog_entry(table, e, old->generation);
	unaccount(table, old);
	kvfree_rcu(old, rcu);
}

/* Makes an entry, in place of @old if that is not NULL. There is room for it. */
static int table_put(struct bulkdump_table *table, u64 generation,
		     const struct bulkdump_values *values,
		     struct bulkdump_entry *old,
		     const struct bulkdump_entry **made,
		     struct netlink_ext_ack *extack)
{
	struct bulkdump_entry *e = entry_make(values, old);
	int err;

	if (!e) {
		NL_SET_ERR_MSG(extack, "no memory for the entry");
		return -ENOMEM;
	}
	err = bulkdump_write_begin(&table->guard);
	if (err) {
		kvfree(e);
		return err;
	}
	bulkdump_change_begin(table, 1);
	e->generation = generation;
	if (old)
		entry_replace(table, old, e);
	else
		bulkdump_entry_insert(table, e);
	bulkdump_change_end(table);
	bulkdump_write_end(&table->guard);
	trace_table_change(table, old ? BULKDUMP_CMD_ENTRY_SET :
					BULKDUMP_CMD_ENTRY_NEW,
			   e->id, generation);
	*made = e;
	return 0;
}

int bulkdump_table_new(struct bulkdump_table *table,
		       const struct bulkdump_values *values,
		       const struct bulkdump_entry **made,
		       struct netlink_ext_ack *extack)
{
	u64 generation = bulkdump_change_next(table);
	int err;

	if (!values->name) {
		NL_SET_ERR_MSG(extack, "a new entry needs a name");
		return -EINVAL;
	}
	err = bulkdump_table_reserve(table, values->id, generation, extack);
	if (err)
		return err;
	err = table_put(table, generation, values, NULL, made, extack);
	if (err)
		bulkdump_table_unreserve(table, values->id, generation);
	return err;
}

int bulkdump_table_set(struct bulkdump_table *table,
		       const struct bulkdump_values *values,
		       const struct bulkdump_entry **made,
		       struct netlink_ext_ack *extack)
{
	u64 generation = bulkdump_change_next(table);
	struct bulkdump_entry *old;
	int err;

	old = xa_load(&table->entries, values->id);
	if (!old) {
		NL_SET_ERR_MSG(extack, "there is no entry with this id");
		return -ENOENT;
	}
	err = change_reserve(table, generation, extack);
	if (err)
		return err;
	err = table_put(table, generation, values, old, made, extack);
	if (err)
		bulkdump_changelog_unreserve(table, generation);
	return err;
}

int bulkdump_table_del(struct bulkdump_table *table, u32 id, u64 *generation,
		       struct netlink_ext_ack *extack)
{
	struct bulkdump_entry *e;
	int err;

	e = xa_load(&table->entries, id);
	if (!e) {
		NL_SET_ERR_MSG(extack, "there is no entry with this id");
		return -ENOENT;
	}
	*generation = bulkdump_change_next(table);
	err = change_reserve(table, *generation, extack);
	if (err)
		return err;
	err = bulkdump_write_begin(&table->guard);
	if (err) {
		bulkdump_changelog_unreserve(table, *generation);
		return err;
	}
	bulkdump_change_begin(table, 1);
	bulkdump_changelog_delete(table, id, *generation, e->generation);
	bulkdump_entry_remove(table, e);
	bulkdump_change_end(table);
	bulkdump_write_end(&table->guard);
	trace_table_change(table, BULKDUMP_CMD_ENTRY_DEL, id, *generation);
	return 0;
}

int bulkdump_table_flush(struct bulkdump_table *table, u32 *count,
			 u64 *generation)
{
	struct bulkdump_entry *e;
	unsigned long id;
	int err;

	err = bulkdump_write_begin(&table->guard);
	if (err)
		return err;
	*count = table->count;
	*generation = bulkdump_change_next(table);
	bulkdump_change_begin(table, 1);
	/* First: the change log must not have an entry that is gone. */
	bulkdump_changelog_restart(table, *generation);
	xa_for_each(&table->entries, id, e) {
		bulkdump_entry_remove(table, e);
		cond_resched();
	}
	/* Readers may still walk what is left (changelog.c): RCU frees it. */
	xa_destroy(&table->entries);
	bulkdump_change_end(table);
	bulkdump_write_end(&table->guard);
	trace_table_change(table, BULKDUMP_CMD_TABLE_FLUSH, 0, *generation);
	return 0;
}

bool bulkdump_table_bounds(struct bulkdump_table *table, u32 *min, u32 *max)
{
	unsigned long id = 0;
	u32 below = U32_MAX;

	if (!xa_find(&table->entries, &id, U32_MAX, XA_PRESENT))
		return false;
	*min = id;
	/* A binary search: some entry is >= *max, none is above below. */
	*max = id;
	while (*max < below) {
		u32 middle = *max + (below - *max) / 2 + 1;

		id = middle;
		if (xa_find(&table->entries, &id, below, XA_PRESENT))
			*max = id;
		else
			below = middle - 1;
	}
	return true;
}
