/* SPDX-License-Identifier: ((GPL-2.0 WITH Linux-syscall-note) OR BSD-3-Clause) */
/* Do not edit directly, auto-generated from: */
/*	Documentation/netlink/specs/bulkdump.yaml */
/* YNL-GEN kernel header */
/* To regenerate run: tools/net/ynl/ynl-regen.sh */

#ifndef _LINUX_BULKDUMP_GEN_H
#define _LINUX_BULKDUMP_GEN_H

#include <net/netlink.h>
#include <net/genetlink.h>

#include <uapi/linux/bulkdump.h>

/* Common nested types */
extern const struct nla_policy bulkdump_filter_nl_policy[BULKDUMP_A_FILTER_FLAGS_MASK + 1];

int bulkdump_nl_entry_get_start(struct netlink_callback *cb);
int bulkdump_nl_entry_get_done(struct netlink_callback *cb);

int bulkdump_nl_entry_get_doit(struct sk_buff *skb, struct genl_info *info);
int bulkdump_nl_entry_get_dumpit(struct sk_buff *skb,
				 struct netlink_callback *cb);
int bulkdump_nl_entry_new_doit(struct sk_buff *skb, struct genl_info *info);
int bulkdump_nl_entry_set_doit(struct sk_buff *skb, struct genl_info *info);
int bulkdump_nl_entry_del_doit(struct sk_buff *skb, struct genl_info *info);
int bulkdump_nl_table_get_doit(struct sk_buff *skb, struct genl_info *info);
int bulkdump_nl_table_fill_doit(struct sk_buff *skb, struct genl_info *info);
int bulkdump_nl_table_flush_doit(struct sk_buff *skb, struct genl_info *info);

enum {
	BULKDUMP_NLGRP_ENTRIES,
};

extern struct genl_family bulkdump_nl_family;

#endif /* _LINUX_BULKDUMP_GEN_H */
