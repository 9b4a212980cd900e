// SPDX-License-Identifier: GPL-2.0-only
/*
 * The direct encoding: the messages of the plain one (fill.c), byte for byte, but
 * written after a single check for room.
 */

#include <net/genetlink.h>

#include "dump.h"
#include "netlink_gen.h"

static u32 uint_len(u64 value)
{
	return value > U32_MAX ? sizeof(u64) : sizeof(u32);
}

static u32 uint_size(u64 value)
{
	return nla_total_size(uint_len(value));
}

/**
 * struct counters - the counters of an entry, read once
 * @hits: may rise between the calculation of the size and the writing
 * @bytes: likewise
 * @size: size of the nest's content
 */
struct counters {
	u64 hits;
	u64 bytes;
	u32 size;
};

static void counters_read(struct counters *c, const struct bulkdump_entry *e)
{
	c->hits = atomic64_read(&e->hits);
	c->bytes = atomic64_read(&e->bytes);
	c->size = uint_size(c->hits) + uint_size(c->bytes) +
		  uint_size(e->created) + uint_size(e->updated);
}

/* The size to the byte: only the fields that are asked for, numbers short. */
static u32 exact_size(const struct bulkdump_entry *e, const struct counters *c,
		      u32 fields)
{
	u32 size = GENL_HDRLEN + nla_total_size(sizeof(u32));

	if (fields & BULKDUMP_FIELD_NAME)
		size += nla_total_size(e->name_len + 1);
	if (fields & BULKDUMP_FIELD_FLAGS)
		size += nla_total_size(sizeof(u32));
	if (fields & BULKDUMP_FIELD_VALUE)
		size += uint_size(e->value);
	if (fields & BULKDUMP_FIELD_PAYLOAD && e->payload_len)
		size += nla_total_size(e->payload_len);
	if (fields & BULKDUMP_FIELD_STATS)
		size += nla_total_size(c->size);
	if (fields & BULKDUMP_FIELD_GENERATION)
		size += uint_size(e->generation);
	return nlmsg_total_size(size);
}

static bool has_room(const struct bulkdump_page *page,
		     const struct bulkdump_entry *e, const struct counters *c)
{
	const u32 room = skb_tailroom(page->skb);

	/* Only the last records of a page need the exact size. */
	return room >= bulkdump_record_size(e->name_len, e->payload_len) ||
	       room >= exact_size(e, c, page->dump->fields);
}

/* The functions below write at @at and return the end of what they wrote. */
static void *write_header(void *at, const struct netlink_callback *cb)
{
	struct nlmsghdr *nlh = at;
	struct genlmsghdr *hdr = nlmsg_data(nlh);

	nlh->nlmsg_type = bulkdump_nl_family.id;
	nlh->nlmsg_flags = NLM_F_MULTI | cb->answer_flags;
	nlh->nlmsg_seq = cb->nlh->nlmsg_seq;
	nlh->nlmsg_pid = NETLINK_CB(cb->skb).portid;
	hdr->cmd = BULKDUMP_CMD_ENTRY_GET;
	hdr->version = bulkdump_nl_family.version;
	hdr->reserved = 0;
	return at + NLMSG_HDRLEN + GENL_HDRLEN;
}

static void *write_head(void *at, u16 type, u32 len)
{
	struct nlattr *attr = at;

	attr->nla_len = nla_attr_size(len);
	attr->nla_type = type;
	return at + NLA_HDRLEN;
}

/* Inline, so that a short name is copied without a call. */
static __always_inline void *write_bytes(void *at, u16 type, const void *data,
					 u32 len)
{
	u32 padded = NLA_ALIGN(len);

	at = write_head(at, type, len);
	/* The padding is 0; the copy below overwrites the rest. */
	if (padded != len)
		*(u32 *)(at + padded - sizeof(u32)) = 0;
	memcpy(at, data, len);
	return at + padded;
}

static void *write_u32(void *at, u16 type, u32 value)
{
	at = write_head(at, type, sizeof(value));
	*(u32 *)at = value;
	return at + sizeof(value);
}

static __always_inline void *write_uint(void *at, u16 type, u64 value)
{
	if (value <= U32_MAX)
		return write_u32(at, type, value);
	at = write_head(at, type, sizeof(value));
	/* Attributes are aligned to 4 bytes only. */
	memcpy(at, &value, sizeof(value));
	return at + sizeof(value);
}

static void *write_stats(void *at, const struct bulkdump_entry *e,
			 const struct counters *c)
{
	at = write_head(at, BULKDUMP_A_ENTRY_STATS | NLA_F_NESTED, c->size);
	at = write_uint(at, BULKDUMP_A_STATS_HITS, c->hits);
	at = write_uint(at, BULKDUMP_A_STATS_BYTES, c->bytes);
	at = write_uint(at, BULKDUMP_A_STATS_CREATED, e->created);
	return write_uint(at, BULKDUMP_A_STATS_UPDATED, e->updated);
}

static void *write_attrs(void *at, const struct bulkdump_entry *e,
			 const struct counters *c, u32 fields)
{
	at = write_u32(at, BULKDUMP_A_ENTRY_ID, e->id);
	if (fields & BULKDUMP_FIELD_NAME)
		at = write_bytes(at, BULKDUMP_A_ENTRY_NAME, e->data,
				 e->name_len + 1);
	if (fields & BULKDUMP_FIELD_FLAGS)
		at = write_u32(at, BULKDUMP_A_ENTRY_FLAGS, e->flags);
	if (fields & BULKDUMP_FIELD_VALUE)
		at = write_uint(at, BULKDUMP_A_ENTRY_VALUE, e->value);
	if (fields & BULKDUMP_FIELD_PAYLOAD && e->payload_len)
		at = write_bytes(at, BULKDUMP_A_ENTRY_PAYLOAD,
				 bulkdump_entry_payload(e), e->payload_len);
	if (fields & BULKDUMP_FIELD_STATS)
		at = write_stats(at, e, c);
	if (fields & BULKDUMP_FIELD_GENERATION)
		at = write_uint(at, BULKDUMP_A_ENTRY_GENERATION, e->generation);
	return at;
}

static int direct_put(struct bulkdump_page *page,
		      const struct bulkdump_entry *e)
{
	struct nlmsghdr *nlh = (void *)skb_tail_pointer(page->skb);
	const u32 fields = page->dump->fields;
	struct counters c = {};
	void *at;

	if (fields & BULKDUMP_FIELD_STATS)
		counters_read(&c, e);
	if (!has_room(page, e, &c))
		return -EMSGSIZE;
	at = write_header(nlh, page->cb);
	at = write_attrs(at, e, &c, fields);
	nlh->nlmsg_len = at - (void *)nlh;
	__skb_put(page->skb, nlh->nlmsg_len);
	nl_dump_check_consistent(page->cb, nlh);
	return 0;
}

const struct bulkdump_encoding_ops bulkdump_encoding_direct = {
	.put	= direct_put,
};
