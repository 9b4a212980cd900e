// SPDX-License-Identifier: GPL-2.0-only
/* Parses the request of a dump. */

#include <linux/nospec.h>
#include <net/genetlink.h>

#include "fill.h"
#include "netlink_gen.h"
#include "request.h"
#include "rights.h"

static const struct bulkdump_cursor_ops *const cursors[] = {
	[BULKDUMP_CURSOR_KEY]		= NULL, /* dump.c */
	[BULKDUMP_CURSOR_BUCKET]	= &bulkdump_cursor_bucket,
	[BULKDUMP_CURSOR_INDEX]		= &bulkdump_cursor_index,
	[BULKDUMP_CURSOR_WALKER]	= &bulkdump_cursor_walker,
};

static const struct bulkdump_encoding_ops *const encodings[] = {
	[BULKDUMP_ENCODING_PLAIN]	= NULL, /* fill.c */
	[BULKDUMP_ENCODING_DIRECT]	= &bulkdump_encoding_direct,
	[BULKDUMP_ENCODING_COLUMNS]	= &bulkdump_encoding_columns,
};

static int parse_filter_flags(struct bulkdump_dump *dump, struct nlattr **tb,
			      struct netlink_ext_ack *extack)
{
	const struct nlattr *flags = tb[BULKDUMP_A_FILTER_FLAGS];
	const struct nlattr *mask = tb[BULKDUMP_A_FILTER_FLAGS_MASK];

	if (mask && !flags) {
		NL_SET_ERR_MSG_ATTR(extack, mask, "flags-mask goes with flags");
		return -EINVAL;
	}
	if (!flags)
		return 0;
	dump->flags = nla_get_u32(flags);
	dump->flags_mask = mask ? nla_get_u32(mask) : U32_MAX;
	if (dump->flags & ~dump->flags_mask) {
		NL_SET_ERR_MSG_ATTR(extack, flags,
				    "flags has bits that flags-mask has not");
		return -EINVAL;
	}
	return 0;
}

static int parse_filter(struct bulkdump_dump *dump, const struct nlattr *filter,
			const struct genl_info *info)
{
	struct nlattr *tb[BULKDUMP_A_FILTER_MAX + 1];
	const struct nlattr *prefix;
	int err;

	err = nla_parse_nested(tb, BULKDUMP_A_FILTER_MAX, filter,
			       bulkdump_filter_nl_policy, info->extack);
	if (err)
		return err;
	if (tb[BULKDUMP_A_FILTER_ID_FROM])
		dump->id_from = nla_get_u32(tb[BULKDUMP_A_FILTER_ID_FROM]);
	if (tb[BULKDUMP_A_FILTER_ID_TO])
		dump->id_to = nla_get_u32(tb[BULKDUMP_A_FILTER_ID_TO]);
	if (dump->id_from > dump->id_to) {
		NL_SET_ERR_MSG_ATTR(info->extack, tb[BULKDUMP_A_FILTER_ID_FROM],
				    "id-from is above id-to");
		return -EINVAL;
	}

	prefix = tb[BULKDUMP_A_FILTER_NAME_PREFIX];
	if (prefix) {
		strscpy(dump->prefix, nla_data(prefix), sizeof(dump->prefix));
		dump->prefix_len = strlen(dump->prefix);
		if (!dump->prefix_len) {
			NL_SET_ERR_MSG_ATTR(info->extack, prefix,
					    "the name-prefix is empty");
			return -EINVAL;
		}
	}

	return parse_filter_flags(dump, tb, info->extack);
}

/*
 * A tombstone has nothing but an id, so a filter can only be on ids. The order is
 * that of the change log, so there is no choice of a cursor.
 */
static int parse_since(struct bulkdump_dump *dump, const struct nlattr *since,
		       const struct genl_info *info)
{
	const struct nlattr *cursor = info->attrs[BULKDUMP_A_ENTRY_CURSOR];

	if (cursor) {
		NL_SET_ERR_MSG_ATTR(info->extack, cursor,
				    "since goes without a cursor");
		return -EINVAL;
	}
	if (dump->prefix_len || dump->flags_mask) {
		NL_SET_ERR_MSG_ATTR(info->extack,
				    info->attrs[BULKDUMP_A_ENTRY_FILTER],
				    "since goes with a filter on ids only");
		return -EINVAL;
	}
	dump->since = nla_get_uint(since);
	dump->cursor = &bulkdump_cursor_since;
	return 0;
}

/* The policy has checked the range, but the processor may speculate past it. */
static u32 choice(const struct nlattr *attr, u32 size)
{
	return array_index_nospec(nla_get_u32(attr), size);
}

/*
 * Any other cursor than key may cost others: a bucket is as long as somebody gave
 * entries one name, index scans the whole table for a page under one
 * rcu_read_lock(), and a walker lets writers spin.
 */
static int parse_cursor(struct bulkdump_dump *dump,
			const struct sk_buff *request,
			const struct nlattr *cursor,
			struct netlink_ext_ack *extack)
{
	u32 nr = choice(cursor, ARRAY_SIZE(cursors));

	if (nr != BULKDUMP_CURSOR_KEY && !bulkdump_may_administer(request)) {
		NL_SET_ERR_MSG_ATTR(extack, cursor,
				    "a cursor other than key needs " BULKDUMP_RIGHT);
		return -EPERM;
	}
	dump->cursor = cursors[nr];
	return 0;
}

int bulkdump_dump_parse(struct bulkdump_dump *dump,
			const struct sk_buff *request,
			const struct genl_info *info)
{
	struct nlattr **attrs = info->attrs;
	int err;

	dump->fields = BULKDUMP_FIELDS_ALL;
	dump->id_to = U32_MAX;
	/* NULL if the op has no maxattr. */
	if (!attrs)
		return 0;

	dump->filtered = attrs[BULKDUMP_A_ENTRY_FILTER] ||
			 attrs[BULKDUMP_A_ENTRY_SINCE];
	if (attrs[BULKDUMP_A_ENTRY_FILTER]) {
		err = parse_filter(dump, attrs[BULKDUMP_A_ENTRY_FILTER], info);
		if (err)
			return err;
	}
	if (attrs[BULKDUMP_A_ENTRY_FIELDS])
		dump->fields = nla_get_u32(attrs[BULKDUMP_A_ENTRY_FIELDS]);
	if (attrs[BULKDUMP_A_ENTRY_CURSOR]) {
		err = parse_cursor(dump, request, attrs[BULKDUMP_A_ENTRY_CURSOR],
				   info->extack);
		if (err)
			return err;
	}
	if (attrs[BULKDUMP_A_ENTRY_ENCODING])
		dump->encoding = encodings[choice(attrs[BULKDUMP_A_ENTRY_ENCODING],
						  ARRAY_SIZE(encodings))];
	if (attrs[BULKDUMP_A_ENTRY_SINCE])
		return parse_since(dump, attrs[BULKDUMP_A_ENTRY_SINCE], info);
	return 0;
}

bool bulkdump_dump_wants(const struct bulkdump_dump *dump,
			 const struct bulkdump_entry *e)
{
	return e->id >= dump->id_from && e->id <= dump->id_to &&
	       !((e->flags ^ dump->flags) & dump->flags_mask) &&
	       !strncmp(e->data, dump->prefix, dump->prefix_len);
}
