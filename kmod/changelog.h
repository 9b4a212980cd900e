/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The change log finds what changed since a generation, without looking at what
 * did not.
 *
 * It is an XArray indexed by generation. A change moves the entry from the slot
 * of its last generation to that of the new one, so the log has each entry once.
 * A delete leaves a tombstone in the new slot: the id, as a value entry. The log
 * keeps max_tombstones of them. When it drops the oldest, table->log_floor rises
 * to that one's generation, and a reader that knows nothing newer has to dump
 * the table.
 *
 * A generation has 64 bits, and an index those of a long. So the index is the
 * distance to table->log_base, and when that no longer fits, the log starts
 * again: it forgets all, and base and floor are the generation of that moment. On
 * 32 bits that is once in four billion changes.
 *
 * Callers hold table->lock.
 */
#ifndef BULKDUMP_CHANGELOG_H
#define BULKDUMP_CHANGELOG_H

#include "table.h"

extern unsigned int bulkdump_max_tombstones;

/* Marks tombstones; the first marked slot has the oldest. */
#define BULKDUMP_CHANGELOG_TOMBSTONE XA_MARK_0

/*
 * A value entry has one bit less than a long, and so not all of an id everywhere.
 * Marks a tombstone whose id has the top bit. It is set after the value, but in a
 * slot that readers reach only when the change is complete.
 */
#define BULKDUMP_CHANGELOG_TOP_BIT XA_MARK_1
#define BULKDUMP_CHANGELOG_ID_BITS 31

int bulkdump_changelog_check(void);
void bulkdump_changelog_init(struct bulkdump_table *table);
void bulkdump_changelog_clear(struct bulkdump_table *table);

/* Starts again unless the log has room for that many changes from this generation on. */
void bulkdump_changelog_fit(struct bulkdump_table *table, u64 generation,
			    u32 changes);

/* Makes room for the change with this generation, which then cannot fail. */
int bulkdump_changelog_reserve(struct bulkdump_table *table, u64 generation);
void bulkdump_changelog_unreserve(struct bulkdump_table *table, u64 generation);

/* The entry is new (@old_generation is 0), or replaces one of @old_generation. */
void bulkdump_changelog_entry(struct bulkdump_table *table,
			      struct bulkdump_entry *e, u64 old_generation);
void bulkdump_changelog_delete(struct bulkdump_table *table, u32 id,
			       u64 generation, u64 old_generation);
/* Forgets all changes up to this generation. The log must not have later ones. */
void bulkdump_changelog_restart(struct bulkdump_table *table, u64 generation);

/* The id of a tombstone. */
static inline u32 bulkdump_changelog_id(const struct xa_state *xas,
					const void *tombstone)
{
	u32 id = xa_to_value(tombstone);

	if (xas_get_mark(xas, BULKDUMP_CHANGELOG_TOP_BIT))
		id |= BIT(BULKDUMP_CHANGELOG_ID_BITS);
	return id;
}

/* For readers, who hold no lock: a change is lost below, or at, the floor. */
static inline u64 bulkdump_changelog_floor(const struct bulkdump_table *table)
{
	return atomic64_read(&table->log_floor);
}

#endif /* BULKDUMP_CHANGELOG_H */
