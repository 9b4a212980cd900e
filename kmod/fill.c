// SPDX-License-Identifier: GPL-2.0-only
/* A message about an entry: header, attributes, end. */

#include "fill.h"
#include "netlink_gen.h"

u32 bulkdump_uint_size(void)
{
	return nla_total_size(sizeof(u64));
}

/* The most that fill_fields() puts. */
static u32 entry_attrs_size(u8 name_len, u16 payload_len)
{
	return nla_total_size(sizeof(u32)) +		/* id */
	       nla_total_size(name_len + 1) +		/* name */
	       nla_total_size(sizeof(u32)) +		/* flags */
	       bulkdump_uint_size() +			/* value */
	       nla_total_size(payload_len) +		/* payload */
	       nla_total_size(4 * bulkdump_uint_size()) + /* stats */
	       bulkdump_uint_size();			/* generation */
}

u32 bulkdump_record_size(u8 name_len, u16 payload_len)
{
	return nlmsg_total_size(GENL_HDRLEN +
				entry_attrs_size(name_len, payload_len));
}

void *bulkdump_entry_header(struct sk_buff *skb, u8 cmd,
			    const struct genl_info *info,
			    struct netlink_callback *cb)
{
	if (!cb)
		return genlmsg_put(skb, info->snd_portid, info->snd_seq,
				   &bulkdump_nl_family, 0, cmd);
	/* NLM_F_MULTI: more follow, up to DONE. */
	return genlmsg_put(skb, NETLINK_CB(cb->skb).portid, cb->nlh->nlmsg_seq,
			   &bulkdump_nl_family, NLM_F_MULTI | cb->answer_flags,
			   cmd);
}

/* @err is that of the attributes. */
static int message_end(struct sk_buff *skb, struct netlink_callback *cb,
		       void *hdr, int err)
{
	if (err) {
		genlmsg_cancel(skb, hdr);
		return err;
	}
	/* Last: a message that is cancelled takes the mark with it. */
	if (cb)
		genl_dump_check_consistent(cb, hdr);
	genlmsg_end(skb, hdr);
	return 0;
}

static int fill_stats(struct sk_buff *skb, const struct bulkdump_entry *e)
{
	struct nlattr *stats = nla_nest_start(skb, BULKDUMP_A_ENTRY_STATS);

	if (!stats)
		return -EMSGSIZE;
	if (nla_put_uint(skb, BULKDUMP_A_STATS_HITS, atomic64_read(&e->hits)) ||
	    nla_put_uint(skb, BULKDUMP_A_STATS_BYTES, atomic64_read(&e->bytes)) ||
	    nla_put_uint(skb, BULKDUMP_A_STATS_CREATED, e->created) ||
	    nla_put_uint(skb, BULKDUMP_A_STATS_UPDATED, e->updated))
		return -EMSGSIZE;
	nla_nest_end(skb, stats);
	return 0;
}

static int fill_fields(struct sk_buff *skb, const struct bulkdump_entry *e,
		       u32 fields)
{
	/* Not nla_put_string(), which would count the length again. */
	if (nla_put_u32(skb, BULKDUMP_A_ENTRY_ID, e->id) ||
	    (fields & BULKDUMP_FIELD_NAME &&
	     nla_put(skb, BULKDUMP_A_ENTRY_NAME, e->name_len + 1, e->data)) ||
	    (fields & BULKDUMP_FIELD_FLAGS &&
	     nla_put_u32(skb, BULKDUMP_A_ENTRY_FLAGS, e->flags)) ||
	    (fields & BULKDUMP_FIELD_VALUE &&
	     nla_put_uint(skb, BULKDUMP_A_ENTRY_VALUE, e->value)) ||
	    (fields & BULKDUMP_FIELD_PAYLOAD && e->payload_len &&
	     nla_put(skb, BULKDUMP_A_ENTRY_PAYLOAD, e->payload_len,
		     bulkdump_entry_payload(e))) ||
	    (fields & BULKDUMP_FIELD_STATS && fill_stats(skb, e)) ||
	    (fields & BULKDUMP_FIELD_GENERATION &&
	     nla_put_uint(skb, BULKDUMP_A_ENTRY_GENERATION, e->generation)))
		return -EMSGSIZE;
	return 0;
}

int bulkdump_entry_fill(struct sk_buff *skb, u8 cmd,
			const struct genl_info *info,
			struct netlink_callback *cb,
			const struct bulkdump_entry *e, u32 fields)
{
	void *hdr = bulkdump_entry_header(skb, cmd, info, cb);

	if (!hdr)
		return -EMSGSIZE;
	return message_end(skb, cb, hdr, fill_fields(skb, e, fields));
}

int bulkdump_entry_fill_deleted(struct sk_buff *skb,
				struct netlink_callback *cb, u32 id,
				u64 generation, u32 fields)
{
	void *hdr = bulkdump_entry_header(skb, BULKDUMP_CMD_ENTRY_GET, NULL, cb);
	int err;

	if (!hdr)
		return -EMSGSIZE;
	err = nla_put_u32(skb, BULKDUMP_A_ENTRY_ID, id);
	if (!err && fields & BULKDUMP_FIELD_GENERATION)
		err = nla_put_uint(skb, BULKDUMP_A_ENTRY_GENERATION, generation);
	err = err ?: nla_put_flag(skb, BULKDUMP_A_ENTRY_DELETED);
	return message_end(skb, cb, hdr, err);
}
