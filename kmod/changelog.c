// SPDX-License-Identifier: GPL-2.0-only
/* The change log: see changelog.h. */

#include <linux/moduleparam.h>
#include <linux/sched.h>

#include "changelog.h"

unsigned int bulkdump_max_tombstones = 1 << 20;
module_param_named(max_tombstones, bulkdump_max_tombstones, uint, 0444);
MODULE_PARM_DESC(max_tombstones, "how many deleted entries a table's change log keeps");

void bulkdump_changelog_init(struct bulkdump_table *table)
{
	/* A generation has 64 bits and is an index here: see Kbuild. */
	BUILD_BUG_ON(sizeof(unsigned long) < sizeof(u64));
	xa_init_flags(&table->log, XA_FLAGS_ACCOUNT);
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
	return xa_reserve(&table->log, generation, GFP_KERNEL_ACCOUNT);
}

void bulkdump_changelog_unreserve(struct bulkdump_table *table, u64 generation)
{
	xa_release(&table->log, generation);
}

/*
 * The entry is in its new slot before it leaves the old one, so readers see it
 * at least once.
 */
static void log_move(struct bulkdump_table *table, void *what, u64 generation,
		     u64 old_generation)
{
	xa_store(&table->log, generation, what, 0);
	if (old_generation != generation)
		xa_erase(&table->log, old_generation);
}

void bulkdump_changelog_entry(struct bulkdump_table *table,
			      struct bulkdump_entry *e, u64 old_generation)
{
	log_move(table, e, e->generation, old_generation);
}

static void forget_oldest(struct bulkdump_table *table)
{
	unsigned long generation = 0;

	if (!xa_find(&table->log, &generation, ULONG_MAX,
		     BULKDUMP_CHANGELOG_TOMBSTONE))
		return;
	WRITE_ONCE(table->log_floor, generation);
	/*
	 * Pairs with smp_rmb() in check_floor(): a reader that misses the
	 * tombstone sees the new floor.
	 */
	smp_wmb();
	xa_erase(&table->log, generation);
	table->tombstones--;
}

void bulkdump_changelog_delete(struct bulkdump_table *table, u32 id,
			       u64 generation, u64 old_generation)
{
	log_move(table, xa_mk_value(id), generation, old_generation);
	xa_set_mark(&table->log, generation, BULKDUMP_CHANGELOG_TOMBSTONE);
	table->tombstones++;
	if (table->tombstones > bulkdump_max_tombstones)
		forget_oldest(table);
}

void bulkdump_changelog_flush(struct bulkdump_table *table, u64 generation)
{
	WRITE_ONCE(table->log_floor, generation);
	/* Pairs with smp_rmb() in check_floor(), as above. */
	smp_wmb();
	bulkdump_changelog_clear(table);
}
