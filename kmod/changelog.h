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
 * Callers hold table->lock.
 */
#ifndef BULKDUMP_CHANGELOG_H
#define BULKDUMP_CHANGELOG_H

#include "table.h"

extern unsigned int bulkdump_max_tombstones;

/* Marks tombstones; the first marked slot has the oldest. */
#define BULKDUMP_CHANGELOG_TOMBSTONE XA_MARK_0

void bulkdump_changelog_init(struct bulkdump_table *table);
void bulkdump_changelog_clear(struct bulkdump_table *table);

/* Makes room for the change with this generation, which then cannot fail. */
int bulkdump_changelog_reserve(struct bulkdump_table *table, u64 generation);
void bulkdump_changelog_unreserve(struct bulkdump_table *table, u64 generation);

/* The entry is new (@old_generation is 0), or replaces one of @old_generation. */
void bulkdump_changelog_entry(struct bulkdump_table *table,
			      struct bulkdump_entry *e, u64 old_generation);
void bulkdump_changelog_delete(struct bulkdump_table *table, u32 id,
			       u64 generation, u64 old_generation);
/* All entries were deleted: the log knows nothing from before. */
void bulkdump_changelog_flush(struct bulkdump_table *table, u64 generation);

#endif /* BULKDUMP_CHANGELOG_H */
