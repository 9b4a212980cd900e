// SPDX-License-Identifier: GPL-2.0-only
/* table-fill: many synthetic entries from a seed, all or none. */

#include <linux/kernel.h>
#include <linux/math64.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "changelog.h"
#include "synthetic.h"
#include "trace.h"

/* The next number of splitmix64, which is random enough for test data. */
static u64 next_random(u64 *state)
{
	u64 z = (*state += 0x9e3779b97f4a7c15ULL);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

static void random_bytes(char *to, size_t len, u64 *state)
{
	size_t n;
	__le64 z;

	for (; len; to += n, len -= n) {
		z = cpu_to_le64(next_random(state));
		n = min(len, sizeof(z));
		memcpy(to, &z, n);
	}
}

static u64 hash_bytes(u64 hash, const void *data, size_t len)
{
	const u8 *p = data;

	while (len--)
		hash = (hash ^ *p++) * 0x100000001b3ULL;
	return hash;
}

/* FNV-1a over the fields that bulkdump.yaml lists, in its order. */
static u64 entry_hash(const struct bulkdump_entry *e)
{
	__le32 payload_len = cpu_to_le32(e->payload_len);
	__le32 flags = cpu_to_le32(e->flags);
	__le64 value = cpu_to_le64(e->value);
	__le32 id = cpu_to_le32(e->id);
	u64 hash = 0xcbf29ce484222325ULL;

	hash = hash_bytes(hash, &id, sizeof(id));
	hash = hash_bytes(hash, &e->name_len, sizeof(e->name_len));
	hash = hash_bytes(hash, e->data, e->name_len);
	hash = hash_bytes(hash, &flags, sizeof(flags));
	hash = hash_bytes(hash, &value, sizeof(value));
	hash = hash_bytes(hash, &payload_len, sizeof(payload_len));
	return hash_bytes(hash, bulkdump_entry_payload(e), e->payload_len);
}

static struct bulkdump_entry *
synthetic_entry(const struct bulkdump_synthetic *synthetic, u32 id)
{
	u64 state = synthetic->seed ^ ((u64)id << 32 | id);
	u16 spread = synthetic->payload_max - synthetic->payload_min;
	char name[BULKDUMP_NAME_LEN_MAX + 1];
	u16 payload_len = synthetic->payload_min;
	struct bulkdump_entry *e;
	u8 name_len;

	name_len = scnprintf(name, sizeof(name), "entry-%u-%04x", id,
			     (u16)next_random(&state));
	if (spread) {
		u64 random = next_random(&state);

		payload_len += do_div(random, spread + 1U);
	}
	e = bulkdump_entry_alloc(name_len, payload_len);
	if (!e)
		return NULL;
	e->id = id;
	memcpy(e->data, name, name_len);
	e->flags = next_random(&state);
	e->value = next_random(&state);
	random_bytes(e->data + name_len + 1, payload_len, &state);
	return e;
}

static int synthetic_one(struct bulkdump_table *table,
			 struct bulkdump_synthetic *synthetic, u32 nr,
			 u64 generation, struct netlink_ext_ack *extack)
{
	u32 id = synthetic->id_start + nr * synthetic->id_stride;
	struct bulkdump_entry *e;
	int err;

	err = bulkdump_table_reserve(table, id, generation, extack);
	if (err)
		return err;
	e = synthetic_entry(synthetic, id);
	if (!e) {
		bulkdump_table_unreserve(table, id, generation);
		NL_SET_ERR_MSG(extack, "no memory for the entries");
		return -ENOMEM;
	}
	e->generation = generation;
	bulkdump_entry_insert(table, e);
	synthetic->checksum += entry_hash(e);
	return 0;
}

/*
 * A dump may have sent these entries, so they leave tombstones. Those take the
 * slots that the entries have in the change log, so this cannot fail.
 */
static void synthetic_undo(struct bulkdump_table *table,
			   const struct bulkdump_synthetic *synthetic, u32 done,
			   u64 first)
{
	u32 nr;

	for (nr = 0; nr < done; nr++) {
		u32 id = synthetic->id_start + nr * synthetic->id_stride;

		bulkdump_changelog_delete(table, id, first + nr, first + nr);
		bulkdump_entry_remove(table, xa_load(&table->entries, id));
		cond_resched();
	}
}

static int synthetic_all(struct bulkdump_table *table,
			 struct bulkdump_synthetic *synthetic, u64 first,
			 struct netlink_ext_ack *extack)
{
	u32 nr;
	int err;

	for (nr = 0; nr < synthetic->count; nr++) {
		err = synthetic_one(table, synthetic, nr, first + nr, extack);
		if (!err && fatal_signal_pending(current)) {
			err = -EINTR;
			nr++;
		}
		if (err) {
			synthetic_undo(table, synthetic, nr, first);
			return err;
		}
		cond_resched();
	}
	return 0;
}

int bulkdump_table_synthesize(struct bulkdump_table *table,
			      struct bulkdump_synthetic *synthetic,
			      struct netlink_ext_ack *extack)
{
	u64 first = bulkdump_change_next(table);
	int err;

	if (synthetic->id_start + (u64)(synthetic->count - 1) * synthetic->id_stride > U32_MAX) {
		NL_SET_ERR_MSG(extack, "the last id would be above 0xffffffff");
		return -ERANGE;
	}
	if (synthetic->count > bulkdump_max_entries ||
	    table->count > bulkdump_max_entries - synthetic->count) {
		NL_SET_ERR_MSG(extack, "more than the table may hold (max_entries)");
		return -ENOSPC;
	}

	err = bulkdump_write_begin(&table->guard);
	if (err)
		return err;
	bulkdump_changelog_fit(table, first, synthetic->count);
	/* One generation an entry, as if they were made one by one. */
	bulkdump_change_begin(table, synthetic->count);
	synthetic->generation = first + synthetic->count - 1;
	synthetic->checksum = 0;
	err = synthetic_all(table, synthetic, first, extack);
	bulkdump_change_end(table);
	bulkdump_write_end(&table->guard);
	if (!err)
		trace_table_change(table, BULKDUMP_CMD_TABLE_FILL,
				   synthetic->id_start, synthetic->generation);
	return err;
}
