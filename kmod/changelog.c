// SPDX-License-Identifier: GPL-2.0-only
/* The change log: see changelog.h. */

#include <linux/bits.h>
#include <linux/moduleparam.h>
#include <linux/sched.h>

#include "changelog.h"

unsigned int bulkdump_max_tombstones = 1 << 20;
module_param_named(max_tombstones, bulkdump_max_tombstones, uint, 0444);
MODULE_PARM_DESC(max_tombstones, "how many deleted entries a table's change log keeps");

static unsigned long log_slots = ULONG_MAX;
module_param(log_slots, ulong, 0444);
MODULE_PARM_DESC(log_slots, "after how many changes a table's change log starts again; for tests, at least max_entries");

int bulkdump_changelog_check(void)
{
	if (log_slots >= bulkdump_max_entries)
		return 0;
	pr_err("bulkdump: log_slots=%lu is less than max_entries\n", log_slots);
	return -EINVAL;
}

void bulkdump_changelog_init(struct bulkdump_table *table)
{
	xa_init_flags(&table->log, XA_FLAGS_ACCOUNT);
}

static unsigned long log_index(const struct bulkdump_table *table,
			       u64 generation)
{
	return generation - atomic64_read(&table->log_base);
}

void bulkdump_changelog_clear(struct bulkdump_table *table)
{
	unsigned long index;
	void *what;

	xa_for_each(&table->log, index, what) {
		xa_erase(&table->log, index);
		cond_resched();
	}
	/* What is left: nodes that an xa_reserve() made before it failed. */
	xa_destroy(&table->log);
	table->tombstones = 0;
}

int bulkdump_changelog_reserve(struct bulkdump_table *table, u64 generation)
{
	unsigned long index = log_index(table, generation);

	return xa_reserve(&table->log, index, GFP_KERNEL_ACCOUNT);
}

void bulkdump_changelog_unreserve(struct bulkdump_table *table, u64 generation)
{
	xa_release(&table->log, log_index(table, generation));
}

/*
 * The entry is in its new slot before it leaves the old one, so readers see it
 * at least once. After a new start it may have no old one.
 */
static void log_move(struct bulkdump_table *table, void *what, u64 generation,
		     u64 old_generation)
{
	xa_store(&table->log, log_index(table, generation), what, 0);
	if (old_generation != generation &&
	    old_generation > atomic64_read(&table->log_base))
		xa_erase(&table->log, log_index(table, old_generation));
}

void bulkdump_changelog_entry(struct bulkdump_table *table,
			      struct bulkdump_entry *e, u64 old_generation)
{
	log_move(table, e, e->generation, old_generation);
}

static void forget_oldest(struct bulkdump_table *table)
{
	unsigned long index = 0;

	if (!xa_find(&table->log, &index, ULONG_MAX,
		     BULKDUMP_CHANGELOG_TOMBSTONE))
		return;
	atomic64_set(&table->log_floor,
		     atomic64_read(&table->log_base) + index);
	/*
	 * Pairs with smp_rmb() in check_floor(): a reader that misses the
	 * tombstone sees the new floor.
	 */
	smp_wmb();
	xa_erase(&table->log, index);
	table->tombstones--;
}

void bulkdump_changelog_delete(struct bulkdump_table *table, u32 id,
			       u64 generation, u64 old_generation)
{
	unsigned long index = log_index(table, generation);
	u32 value = id & GENMASK(BULKDUMP_CHANGELOG_ID_BITS - 1, 0);

	log_move(table, xa_mk_value(value), generation, old_generation);
	xa_set_mark(&table->log, index, BULKDUMP_CHANGELOG_TOMBSTONE);
	if (id != value)
		xa_set_mark(&table->log, index, BULKDUMP_CHANGELOG_TOP_BIT);
	table->tombstones++;
	if (table->tombstones > bulkdump_max_tombstones)
		forget_oldest(table);
}

void bulkdump_changelog_restart(struct bulkdump_table *table, u64 generation)
{
	atomic64_set(&table->log_floor, generation);
	/*
	 * Pairs with smp_rmb() in check_floor(), as above: a reader that misses
	 * a change, or sees the new base, sees the new floor.
	 */
	smp_wmb();
	bulkdump_changelog_clear(table);
	atomic64_set(&table->log_base, generation);
}

void bulkdump_changelog_fit(struct bulkdump_table *table, u64 generation,
			    u32 changes)
{
	u64 last = generation + changes - 1;

	if (last - atomic64_read(&table->log_base) > log_slots)
		bulkdump_changelog_restart(table, generation - 1);
}
