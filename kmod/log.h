/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The log of changes: what changed since a generation, without a look at what
 * did not.
 *
 * An XArray by generation. A change moves the entry from the slot of its last
 * generation to that of the new one, so each entry is in the log once. A
 * delete leaves a tombstone in the new slot: the id, as a value entry. At most
 * max_tombstones are kept; when the oldest goes, table->log_floor rises to its
 * generation, and a reader who knows nothing newer has to dump the table.
 *
 * All of it under table->lock.
 */
#ifndef BULKDUMP_LOG_H
#define BULKDUMP_LOG_H

#include "table.h"

extern unsigned int bulkdump_max_tombstones;

/* The mark of tombstones: the first one is the oldest. */
#define BULKDUMP_LOG_TOMBSTONE XA_MARK_0

void bulkdump_log_init(struct bulkdump_table *table);
void bulkdump_log_clear(struct bulkdump_table *table);

/* Room for what changes with a generation: what follows cannot fail then. */
int bulkdump_log_reserve(struct bulkdump_table *table, u64 generation);
void bulkdump_log_unreserve(struct bulkdump_table *table, u64 generation);

/* The entry is new, or it has taken the place of one with another generation. */
void bulkdump_log_entry(struct bulkdump_table *table,
			struct bulkdump_entry *e, u64 old_generation);
void bulkdump_log_delete(struct bulkdump_table *table, u32 id, u64 generation,
			 u64 old_generation);
/* All entries were deleted: nothing is known from before. */
void bulkdump_log_flush(struct bulkdump_table *table, u64 generation);

#endif /* BULKDUMP_LOG_H */
