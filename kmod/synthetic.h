/* SPDX-License-Identifier: GPL-2.0-only */
/* Synthetic entries: those that table-fill makes. */
#ifndef BULKDUMP_SYNTHETIC_H
#define BULKDUMP_SYNTHETIC_H

#include "table.h"

/**
 * struct bulkdump_synthetic - what to make
 * @count: how many entries, at least one
 * @id_start: the first id
 * @id_stride: from one id to the next, at least one
 * @payload_min: bytes
 * @payload_max: bytes, at least @payload_min
 * @seed: determines everything else
 * @generation: out: the first generation that has all of them
 * @checksum: out: of the new entries, as bulkdump.yaml defines it
 */
struct bulkdump_synthetic {
	u32 count;
	u32 id_start;
	u32 id_stride;
	u16 payload_min;
	u16 payload_max;
	u64 seed;
	u64 generation;
	u64 checksum;
};

/*
 * Makes all or none, under table->lock. Readers may have seen entries of a fill
 * that fails late: the generation has risen, and the change log has tombstones
 * of what was made and removed again.
 */
int bulkdump_table_synthesize(struct bulkdump_table *table,
			      struct bulkdump_synthetic *synthetic,
			      struct netlink_ext_ack *extack);

#endif /* BULKDUMP_SYNTHETIC_H */
