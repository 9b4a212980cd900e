// SPDX-License-Identifier: GPL-2.0-only
/* The plain encoding: a message for each record, by nla_put(). Copy this one. */

#include <net/genetlink.h>

#include "dump.h"
#include "netlink_gen.h"

void *bulkdump_page_put_header(struct bulkdump_page *page)
{
	struct netlink_callback *cb = page->cb;

	/* NLM_F_MULTI: one of many, DONE comes at the end. */
	return genlmsg_put(page->skb, NETLINK_CB(cb->skb).portid,
			   cb->nlh->nlmsg_seq, &bulkdump_nl_family,
			   NLM_F_MULTI | cb->answer_flags,
			   BULKDUMP_CMD_ENTRY_GET);
}

/* @err is of the attributes. */
static int plain_end(struct bulkdump_page *page, void *hdr, int err)
{
	if (err) {
		genlmsg_cancel(page->skb, hdr);
		return err;
	}
	/* Last: it marks this message only, and a cancel would lose the mark. */
	genl_dump_check_consistent(page->cb, hdr);
	genlmsg_end(page->skb, hdr);
	return 0;
}

static int plain_put(struct bulkdump_page *page, const struct bulkdump_entry *e)
{
	void *hdr = bulkdump_page_put_header(page);

	if (!hdr)
		return -EMSGSIZE;
	return plain_end(page, hdr,
			 bulkdump_entry_fill(page->skb, e, page->dump->fields));
}

int bulkdump_plain_put_deleted(struct bulkdump_page *page, u32 id,
			       u64 generation)
{
	void *hdr = bulkdump_page_put_header(page);

	if (!hdr)
		return -EMSGSIZE;
	return plain_end(page, hdr,
			 bulkdump_entry_fill_deleted(page->skb, id, generation));
}

const struct bulkdump_encoding_ops bulkdump_encoding_plain = {
	.put		= plain_put,
	.put_deleted	= bulkdump_plain_put_deleted,
};
