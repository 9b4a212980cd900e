// SPDX-License-Identifier: GPL-2.0-only
/* The log of changes. */

#include <linux/moduleparam.h>
#include <linux/sched.h>

#include "log.h"

unsigned int bulkdump_max_tombstones = 1 << 20;
module_param_named(max_tombstones, bulkdump_max_tombstones, uint, 0444);
MODULE_PARM_DESC(max_tombstones, "most deleted entries that one table's log of changes keeps");

void bulkdump_log_init(struct bulkdump_table *table)
{
	/* A generation has 64 bits, and is an index here: see Kbuild. */
	BUILD_BUG_ON(sizeof(unsigned long) < sizeof(u64));
	xa_init_flags(&table->log, XA_FLAGS_ACCOUNT);
}

void bulkdump_log_clear(struct bulkdump_table *table)
{
	unsigned long index;
	void *what;

	xa_for_each(&table->log, index, what) {
		xa_erase(&table->log, index);
		cond_resched();
	}
	table->tombstones = 0;
}

int bulkdump_log_reserve(struct bulkdump_table *table, u64 generation)
{
	return xa_reserve(&table->log, generation, GFP_KERNEL_ACCOUNT);
}

void bulkdump_log_unreserve(struct bulkdump_table *table, u64 generation)
{
	xa_release(&table->log, generation);
}

/*
 * Readers find the entry in its new slot before it goes from the old one, so
 * they see it at least once.
 */
static void log_move(struct bulkdump_table *table, void *what, u64 generation,
		     u64 old_generation)
{
	xa_store(&table->log, generation, what, 0);
	if (old_generation != generation)
		xa_erase(&table->log, old_generation);
}

void bulkdump_log_entry(struct bulkdump_table *table, struct bulkdump_entry *e,
			u64 old_generation)
{
	log_move(table, e, e->generation, old_generation);
}

static void forget_oldest(struct bulkdump_table *table)
{
	unsigned long generation = 0;

	if (!xa_find(&table->log, &generation, ULONG_MAX,
		     BULKDUMP_LOG_TOMBSTONE))
		return;
	WRITE_ONCE(table->log_floor, generation);
	/*
	 * Pairs with smp_rmb() in check_floor(): a reader that does not
	 * find the tombstone finds the floor risen.
	 */
	smp_wmb();
	xa_erase(&table->log, generation);
	table->tombstones--;
}

void bulkdump_log_delete(struct bulkdump_table *table, u32 id, u64 generation,
			 u64 old_generation)
{
	log_move(table, xa_mk_value(id), generation, old_generation);
	xa_set_mark(&table->log, generation, BULKDUMP_LOG_TOMBSTONE);
	table->tombstones++;
	if (table->tombstones > bulkdump_max_tombstones)
		forget_oldest(table);
}

void bulkdump_log_flush(struct bulkdump_table *table, u64 generation)
{
	WRITE_ONCE(table->log_floor, generation);
	/* Pairs with smp_rmb() in check_floor(), as above. */
	smp_wmb();
	bulkdump_log_clear(table);
}
