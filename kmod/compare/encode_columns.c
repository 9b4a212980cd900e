// SPDX-License-Identifier: GPL-2.0-only
/*
 * The columns encoding: one message a page, with one array a field. A value has no
 * header, no padding and no type of its own, so a record costs little more than a
 * copy. A new field is still a new attribute, which old readers skip.
 *
 * A page is made in two steps under one rcu_read_lock(): put() collects entries
 * as long as they fit, finish() writes column after column.
 */

#include <linux/slab.h>
#include <net/genetlink.h>

#include "dump.h"
#include "fill.h"

/**
 * struct tombstone - a record of a deleted entry
 * @row: its index on the page
 * @id: the id of the deleted entry
 * @generation: the generation of the delete
 */
struct tombstone {
	u32 row;
	u32 id;
	u64 generation;
};

/**
 * struct bulkdump_batch - the page in the making
 * @row_size: bytes of a record without its name and payload
 * @max: how many records fit into @rows
 * @room: how long the page may become, in bytes
 * @used: how long it will be so far
 * @names: bytes of all names
 * @payloads: bytes of all payloads
 * @deleted: how many records are of deleted entries
 * @tombstones: those records; behind @rows, only for a dump with since
 * @rows: page->records entries; &nothing for a deleted one
 */
struct bulkdump_batch {
	u32 row_size;
	u32 max;
	u32 room;
	u32 used;
	u32 names;
	u32 payloads;
	u32 deleted;
	struct tombstone *tombstones;
	const struct bulkdump_entry *rows[];
};

/*
 * All zero, so that most columns need no check for deleted entries. Not const: on
 * some machines of 32 bits, atomic64_read() writes.
 */
static struct bulkdump_entry nothing;

/* The most that a column needs besides its values. */
#define COLUMN_OVERHEAD		(NLA_HDRLEN + NLA_ALIGNTO - 1)
#define PAGE_OVERHEAD		(NLMSG_HDRLEN + GENL_HDRLEN + NLA_HDRLEN + \
				 BULKDUMP_A_COLUMNS_MAX * COLUMN_OVERHEAD)

/* The core makes no larger page by itself (netlink_recvmsg()). */
#define PAGE_MAX		SZ_32K

static u32 row_size(const struct bulkdump_dump *dump)
{
	u32 size = sizeof(u32);

	if (bulkdump_dump_is_delta(dump))
		size += sizeof(u8);
	if (dump->fields & BULKDUMP_FIELD_NAME)
		size += sizeof(u16);
	if (dump->fields & BULKDUMP_FIELD_FLAGS)
		size += sizeof(u32);
	if (dump->fields & BULKDUMP_FIELD_VALUE)
		size += sizeof(u64);
	if (dump->fields & BULKDUMP_FIELD_PAYLOAD)
		size += sizeof(u16);
	if (dump->fields & BULKDUMP_FIELD_STATS)
		size += 4 * sizeof(u64);
	if (dump->fields & BULKDUMP_FIELD_GENERATION)
		size += sizeof(u64);
	return size;
}

static int columns_start(struct bulkdump_dump *dump, struct netlink_callback *cb,
			 struct netlink_ext_ack *extack)
{
	u32 size = row_size(dump);
	u32 max = max_t(u32, PAGE_MAX, cb->min_dump_alloc) / size;
	size_t rows = struct_size(dump->batch, rows, max);
	size_t bytes = rows;

	if (bulkdump_dump_is_delta(dump))
		bytes += max * sizeof(struct tombstone);
	/* vmalloc() warns at the limit of a control group. Anybody can get there. */
	dump->batch = kvmalloc(bytes, GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	if (!dump->batch) {
		NL_SET_ERR_MSG(extack, "no memory for a page of columns");
		return -ENOMEM;
	}
	dump->memory += bytes;
	dump->batch->row_size = size;
	dump->batch->max = max;
	dump->batch->tombstones = (void *)dump->batch + rows;
	return 0;
}

static void page_begin(struct bulkdump_page *page)
{
	struct bulkdump_batch *batch = page->dump->batch;

	/* The length of a nest has 16 bits, and wraps. */
	batch->room = min_t(u32, skb_tailroom(page->skb), U16_MAX);
	batch->used = PAGE_OVERHEAD;
	batch->names = 0;
	batch->payloads = 0;
	batch->deleted = 0;
}

/* Collects a record if the page has room for it. */
static int note(struct bulkdump_page *page, const struct bulkdump_entry *e,
		u32 name_len, u32 payload_len)
{
	struct bulkdump_batch *batch = page->dump->batch;
	u32 row = page->records;
	u32 used;

	if (!row)
		page_begin(page);
	used = batch->used + batch->row_size + name_len + payload_len;
	if (row == batch->max || used > batch->room)
		return -EMSGSIZE;
	batch->used = used;
	batch->names += name_len;
	batch->payloads += payload_len;
	batch->rows[row] = e;
	return 0;
}

static int columns_put(struct bulkdump_page *page,
		       const struct bulkdump_entry *e)
{
	const u32 fields = page->dump->fields;

	return note(page, e, fields & BULKDUMP_FIELD_NAME ? e->name_len : 0,
		    fields & BULKDUMP_FIELD_PAYLOAD ? e->payload_len : 0);
}

static int columns_put_deleted(struct bulkdump_page *page, u32 id,
			       u64 generation)
{
	struct bulkdump_batch *batch = page->dump->batch;

	if (note(page, &nothing, 0, 0))
		return -EMSGSIZE;
	batch->tombstones[batch->deleted++] = (struct tombstone){
		.row		= page->records,
		.id		= id,
		.generation	= generation,
	};
	return 0;
}

/* note() has checked for room, so these do not. */
static void *column(struct bulkdump_page *page, int type, u32 len)
{
	return nla_data(__nla_reserve(page->skb, type, len));
}

/*
 * A column of numbers. @get is constant, so this becomes a loop without a call.
 * Arrays are aligned to 4 bytes only, as all attributes are.
 */
static __always_inline void *column_u64(struct bulkdump_page *page, int type,
					u64 (*get)(const struct bulkdump_entry *e))
{
	const struct bulkdump_entry **rows = page->dump->batch->rows;
	const u32 records = page->records;
	void *to = column(page, type, records * sizeof(u64));
	u64 value;
	u32 i;

	for (i = 0; i < records; i++) {
		value = get(rows[i]);
		memcpy(to + i * sizeof(value), &value, sizeof(value));
	}
	return to;
}

static __always_inline u32 *column_u32(struct bulkdump_page *page, int type,
				       u32 (*get)(const struct bulkdump_entry *e))
{
	const struct bulkdump_entry **rows = page->dump->batch->rows;
	const u32 records = page->records;
	u32 *to = column(page, type, records * sizeof(*to));
	u32 i;

	for (i = 0; i < records; i++)
		to[i] = get(rows[i]);
	return to;
}

/* Writes what is known of deleted entries over the zeroes. */
static void column_deleted(struct bulkdump_page *page, u32 *ids,
			   void *generations)
{
	const struct bulkdump_batch *batch = page->dump->batch;
	const struct tombstone *t = batch->tombstones;
	const struct tombstone *end = t + batch->deleted;
	u8 *deleted = column(page, BULKDUMP_A_COLUMNS_DELETED, page->records);

	memset(deleted, 0, page->records);
	for (; t < end; t++) {
		deleted[t->row] = 1;
		ids[t->row] = t->id;
		if (generations)
			memcpy(generations + t->row * sizeof(t->generation),
			       &t->generation, sizeof(t->generation));
	}
}

/* Two columns: the end of each value, and the bytes of all values. */
static __always_inline void column_bytes(struct bulkdump_page *page, int type_end,
					 int type, u32 total,
					 u32 (*get)(const struct bulkdump_entry *e,
						    const char **bytes))
{
	const struct bulkdump_entry **rows = page->dump->batch->rows;
	const u32 records = page->records;
	u16 *end = column(page, type_end, records * sizeof(*end));
	char *to = column(page, type, total);
	const char *bytes;
	u32 i, at = 0, len;

	for (i = 0; i < records; i++) {
		len = get(rows[i], &bytes);
		memcpy(to + at, bytes, len);
		at += len;
		end[i] = at;
	}
}

static u32 get_id(const struct bulkdump_entry *e)
{
	return e->id;
}

static u32 get_flags(const struct bulkdump_entry *e)
{
	return e->flags;
}

static u64 get_value(const struct bulkdump_entry *e)
{
	return e->value;
}

static u64 get_hits(const struct bulkdump_entry *e)
{
	return atomic64_read(&e->hits);
}

static u64 get_bytes(const struct bulkdump_entry *e)
{
	return atomic64_read(&e->bytes);
}

static u64 get_created(const struct bulkdump_entry *e)
{
	return e->created;
}

static u64 get_updated(const struct bulkdump_entry *e)
{
	return e->updated;
}

static u64 get_generation(const struct bulkdump_entry *e)
{
	return e->generation;
}

static u32 get_name(const struct bulkdump_entry *e, const char **bytes)
{
	*bytes = e->data;
	return e->name_len;
}

static u32 get_payload(const struct bulkdump_entry *e, const char **bytes)
{
	*bytes = bulkdump_entry_payload(e);
	return e->payload_len;
}

static void put_columns(struct bulkdump_page *page)
{
	const struct bulkdump_batch *batch = page->dump->batch;
	const u32 fields = page->dump->fields;
	void *generations = NULL;
	u32 *ids;

	ids = column_u32(page, BULKDUMP_A_COLUMNS_ID, get_id);
	if (fields & BULKDUMP_FIELD_NAME)
		column_bytes(page, BULKDUMP_A_COLUMNS_NAME_END,
			     BULKDUMP_A_COLUMNS_NAMES, batch->names, get_name);
	if (fields & BULKDUMP_FIELD_FLAGS)
		column_u32(page, BULKDUMP_A_COLUMNS_FLAGS, get_flags);
	if (fields & BULKDUMP_FIELD_VALUE)
		column_u64(page, BULKDUMP_A_COLUMNS_VALUE, get_value);
	if (fields & BULKDUMP_FIELD_PAYLOAD)
		column_bytes(page, BULKDUMP_A_COLUMNS_PAYLOAD_END,
			     BULKDUMP_A_COLUMNS_PAYLOADS, batch->payloads,
			     get_payload);
	if (fields & BULKDUMP_FIELD_STATS) {
		column_u64(page, BULKDUMP_A_COLUMNS_HITS, get_hits);
		column_u64(page, BULKDUMP_A_COLUMNS_BYTES, get_bytes);
		column_u64(page, BULKDUMP_A_COLUMNS_CREATED, get_created);
		column_u64(page, BULKDUMP_A_COLUMNS_UPDATED, get_updated);
	}
	if (fields & BULKDUMP_FIELD_GENERATION)
		generations = column_u64(page, BULKDUMP_A_COLUMNS_GENERATION,
					 get_generation);
	if (bulkdump_dump_is_delta(page->dump))
		column_deleted(page, ids, generations);
}

static void columns_finish(struct bulkdump_page *page)
{
	void *hdr = bulkdump_entry_header(page->skb, BULKDUMP_CMD_ENTRY_GET,
					  NULL, page->cb);
	struct nlattr *nest;

	nest = nla_nest_start(page->skb, BULKDUMP_A_ENTRY_COLUMNS);
	put_columns(page);
	nla_nest_end(page->skb, nest);
	genl_dump_check_consistent(page->cb, hdr);
	genlmsg_end(page->skb, hdr);
}

const struct bulkdump_encoding_ops bulkdump_encoding_columns = {
	.overhead	= PAGE_OVERHEAD,
	.start		= columns_start,
	.put		= columns_put,
	.put_deleted	= columns_put_deleted,
	.finish		= columns_finish,
};
