/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A message about an entry: the same in a reply, in an event, and as a record of
 * a dump.
 */
#ifndef BULKDUMP_FILL_H
#define BULKDUMP_FILL_H

#include <net/genetlink.h>

#include "table.h"

#define BULKDUMP_FIELDS_ALL						\
	(BULKDUMP_FIELD_NAME | BULKDUMP_FIELD_FLAGS |			\
	 BULKDUMP_FIELD_VALUE | BULKDUMP_FIELD_PAYLOAD |		\
	 BULKDUMP_FIELD_STATS | BULKDUMP_FIELD_GENERATION)

/* The largest size of a uint attribute, which has 4 or 8 bytes. */
u32 bulkdump_uint_size(void);

/*
 * @cb is the dump that the message is a record of. If it is NULL, the message
 * answers the request @info.
 */

/* Puts the header. Returns NULL if there is no room. */
void *bulkdump_entry_header(struct sk_buff *skb, u8 cmd,
			    const struct genl_info *info,
			    struct netlink_callback *cb);
/* Puts the whole message, or nothing and returns -EMSGSIZE. */
int bulkdump_entry_fill(struct sk_buff *skb, u8 cmd,
			const struct genl_info *info,
			struct netlink_callback *cb,
			const struct bulkdump_entry *e, u32 fields);
/* The same for a deleted entry: a record of a dump with since. */
int bulkdump_entry_fill_deleted(struct sk_buff *skb,
				struct netlink_callback *cb, u32 id,
				u64 generation, u32 fields);

#endif /* BULKDUMP_FILL_H */
