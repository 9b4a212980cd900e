// SPDX-License-Identifier: ((GPL-2.0 WITH Linux-syscall-note) OR BSD-3-Clause)
/* Do not edit directly, auto-generated from: */
/*	Documentation/netlink/specs/bulkdump.yaml */
/* YNL-GEN kernel source */
/* To regenerate run: tools/net/ynl/ynl-regen.sh */

#include <net/netlink.h>
#include <net/genetlink.h>

#include "netlink_gen.h"

#include <uapi/linux/bulkdump.h>

/* Integer value ranges */
static const struct netlink_range_validation bulkdump_a_fill_payload_min_range = {
	.max	= BULKDUMP_PAYLOAD_LEN_MAX,
};

static const struct netlink_range_validation bulkdump_a_fill_payload_max_range = {
	.max	= BULKDUMP_PAYLOAD_LEN_MAX,
};

/* Common nested types */
const struct nla_policy bulkdump_filter_nl_policy[BULKDUMP_A_FILTER_FLAGS_MASK + 1] = {
	[BULKDUMP_A_FILTER_ID_FROM] = { .type = NLA_U32, },
	[BULKDUMP_A_FILTER_ID_TO] = { .type = NLA_U32, },
	[BULKDUMP_A_FILTER_NAME_PREFIX] = { .type = NLA_NUL_STRING, .len = BULKDUMP_NAME_LEN_MAX, },
	[BULKDUMP_A_FILTER_FLAGS] = { .type = NLA_U32, },
	[BULKDUMP_A_FILTER_FLAGS_MASK] = { .type = NLA_U32, },
};

/* BULKDUMP_CMD_ENTRY_GET - do */
static const struct nla_policy bulkdump_entry_get_do_nl_policy[BULKDUMP_A_ENTRY_NAME + 1] = {
	[BULKDUMP_A_ENTRY_ID] = { .type = NLA_U32, },
	[BULKDUMP_A_ENTRY_NAME] = { .type = NLA_NUL_STRING, .len = BULKDUMP_NAME_LEN_MAX, },
};

/* BULKDUMP_CMD_ENTRY_GET - dump */
static const struct nla_policy bulkdump_entry_get_dump_nl_policy[BULKDUMP_A_ENTRY_ENCODING + 1] = {
	[BULKDUMP_A_ENTRY_FILTER] = NLA_POLICY_NESTED(bulkdump_filter_nl_policy),
	[BULKDUMP_A_ENTRY_FIELDS] = NLA_POLICY_MASK(NLA_U32, 0x3f),
	[BULKDUMP_A_ENTRY_SINCE] = { .type = NLA_UINT, },
	[BULKDUMP_A_ENTRY_CURSOR] = NLA_POLICY_MAX(NLA_U32, 3),
	[BULKDUMP_A_ENTRY_ENCODING] = NLA_POLICY_MAX(NLA_U32, 2),
};

/* BULKDUMP_CMD_ENTRY_NEW - do */
static const struct nla_policy bulkdump_entry_new_nl_policy[BULKDUMP_A_ENTRY_PAYLOAD + 1] = {
	[BULKDUMP_A_ENTRY_ID] = { .type = NLA_U32, },
	[BULKDUMP_A_ENTRY_NAME] = { .type = NLA_NUL_STRING, .len = BULKDUMP_NAME_LEN_MAX, },
	[BULKDUMP_A_ENTRY_FLAGS] = { .type = NLA_U32, },
	[BULKDUMP_A_ENTRY_VALUE] = { .type = NLA_UINT, },
	[BULKDUMP_A_ENTRY_PAYLOAD] = NLA_POLICY_MAX_LEN(BULKDUMP_PAYLOAD_LEN_MAX),
};

/* BULKDUMP_CMD_ENTRY_SET - do */
static const struct nla_policy bulkdump_entry_set_nl_policy[BULKDUMP_A_ENTRY_CREATE + 1] = {
	[BULKDUMP_A_ENTRY_ID] = { .type = NLA_U32, },
	[BULKDUMP_A_ENTRY_NAME] = { .type = NLA_NUL_STRING, .len = BULKDUMP_NAME_LEN_MAX, },
	[BULKDUMP_A_ENTRY_FLAGS] = { .type = NLA_U32, },
	[BULKDUMP_A_ENTRY_VALUE] = { .type = NLA_UINT, },
	[BULKDUMP_A_ENTRY_PAYLOAD] = NLA_POLICY_MAX_LEN(BULKDUMP_PAYLOAD_LEN_MAX),
	[BULKDUMP_A_ENTRY_CREATE] = { .type = NLA_FLAG, },
};

/* BULKDUMP_CMD_ENTRY_DEL - do */
static const struct nla_policy bulkdump_entry_del_nl_policy[BULKDUMP_A_ENTRY_ID + 1] = {
	[BULKDUMP_A_ENTRY_ID] = { .type = NLA_U32, },
};

/* BULKDUMP_CMD_TABLE_FILL - do */
static const struct nla_policy bulkdump_table_fill_nl_policy[BULKDUMP_A_FILL_PAYLOAD_MAX + 1] = {
	[BULKDUMP_A_FILL_COUNT] = NLA_POLICY_MIN(NLA_U32, 1),
	[BULKDUMP_A_FILL_SEED] = { .type = NLA_UINT, },
	[BULKDUMP_A_FILL_ID_START] = { .type = NLA_U32, },
	[BULKDUMP_A_FILL_ID_STRIDE] = NLA_POLICY_MIN(NLA_U32, 1),
	[BULKDUMP_A_FILL_PAYLOAD_MIN] = NLA_POLICY_FULL_RANGE(NLA_U32, &bulkdump_a_fill_payload_min_range),
	[BULKDUMP_A_FILL_PAYLOAD_MAX] = NLA_POLICY_FULL_RANGE(NLA_U32, &bulkdump_a_fill_payload_max_range),
};

/* Ops table for bulkdump */
static const struct genl_split_ops bulkdump_nl_ops[] = {
	{
		.cmd		= BULKDUMP_CMD_ENTRY_GET,
		.doit		= bulkdump_nl_entry_get_doit,
		.policy		= bulkdump_entry_get_do_nl_policy,
		.maxattr	= BULKDUMP_A_ENTRY_NAME,
		.flags		= GENL_CMD_CAP_DO,
	},
	{
		.cmd		= BULKDUMP_CMD_ENTRY_GET,
		.start		= bulkdump_nl_entry_get_start,
		.dumpit		= bulkdump_nl_entry_get_dumpit,
		.done		= bulkdump_nl_entry_get_done,
		.policy		= bulkdump_entry_get_dump_nl_policy,
		.maxattr	= BULKDUMP_A_ENTRY_ENCODING,
		.flags		= GENL_CMD_CAP_DUMP,
	},
	{
		.cmd		= BULKDUMP_CMD_ENTRY_NEW,
		.doit		= bulkdump_nl_entry_new_doit,
		.policy		= bulkdump_entry_new_nl_policy,
		.maxattr	= BULKDUMP_A_ENTRY_PAYLOAD,
		.flags		= GENL_CMD_CAP_DO,
	},
	{
		.cmd		= BULKDUMP_CMD_ENTRY_SET,
		.doit		= bulkdump_nl_entry_set_doit,
		.policy		= bulkdump_entry_set_nl_policy,
		.maxattr	= BULKDUMP_A_ENTRY_CREATE,
		.flags		= GENL_CMD_CAP_DO,
	},
	{
		.cmd		= BULKDUMP_CMD_ENTRY_DEL,
		.doit		= bulkdump_nl_entry_del_doit,
		.policy		= bulkdump_entry_del_nl_policy,
		.maxattr	= BULKDUMP_A_ENTRY_ID,
		.flags		= GENL_CMD_CAP_DO,
	},
	{
		.cmd	= BULKDUMP_CMD_TABLE_GET,
		.doit	= bulkdump_nl_table_get_doit,
		.flags	= GENL_CMD_CAP_DO,
	},
	{
		.cmd		= BULKDUMP_CMD_TABLE_FILL,
		.doit		= bulkdump_nl_table_fill_doit,
		.policy		= bulkdump_table_fill_nl_policy,
		.maxattr	= BULKDUMP_A_FILL_PAYLOAD_MAX,
		.flags		= GENL_CMD_CAP_DO,
	},
	{
		.cmd	= BULKDUMP_CMD_TABLE_FLUSH,
		.doit	= bulkdump_nl_table_flush_doit,
		.flags	= GENL_CMD_CAP_DO,
	},
};

static const struct genl_multicast_group bulkdump_nl_mcgrps[] = {
	[BULKDUMP_NLGRP_ENTRIES] = { "entries", },
};

struct genl_family bulkdump_nl_family __ro_after_init = {
	.name		= BULKDUMP_FAMILY_NAME,
	.version	= BULKDUMP_FAMILY_VERSION,
	.netnsok	= true,
	.parallel_ops	= true,
	.module		= THIS_MODULE,
	.split_ops	= bulkdump_nl_ops,
	.n_split_ops	= ARRAY_SIZE(bulkdump_nl_ops),
	.mcgrps		= bulkdump_nl_mcgrps,
	.n_mcgrps	= ARRAY_SIZE(bulkdump_nl_mcgrps),
};
