/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Makes an older kernel look like the newest one. It is included before
 * everything else. Only this file and compat.c know versions.
 */
#ifndef BULKDUMP_COMPAT_H
#define BULKDUMP_COMPAT_H

#include <linux/build_bug.h>
#include <linux/netlink.h>
#include <linux/version.h>
#include <net/genetlink.h>
#include <net/netlink.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 2, 0)
/*
 * No split ops: one genl_ops has both do and dump of a command, and one policy.
 * compat_register_family() merges such pairs and their policies. After the core
 * has parsed a request with both, each half is parsed again with its own.
 */
#define COMPAT_MERGE_OPS
#define genl_split_ops genl_ops
#define split_ops ops
#define n_split_ops n_ops

int compat_register_family(struct genl_family *family);
void compat_unregister_family(struct genl_family *family);

#define genl_register_family compat_register_family
#define genl_unregister_family compat_unregister_family
#endif

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 6, 0)
/* The fields that callers read. It lives until the end of their block. */
#define genl_info_dump(cb)						\
	((const struct genl_info *)&(struct genl_info) {		\
		.snd_seq	= (cb)->nlh->nlmsg_seq,			\
		.snd_portid	= NETLINK_CB((cb)->skb).portid,		\
		.attrs		= genl_dumpit_info(cb)->attrs,		\
		.extack		= (cb)->extack,				\
	})
#endif

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 7, 0)
/* An integer of 4 or 8 bytes, which the policy checks by a function. */
int compat_validate_uint(const struct nlattr *attr,
			 struct netlink_ext_ack *extack);

#define NLA_UINT NLA_BINARY,						\
	.validation_type = NLA_VALIDATE_FUNCTION,			\
	.validate = compat_validate_uint

static inline int nla_put_uint(struct sk_buff *skb, int type, u64 value)
{
	u32 small = value;

	if (small == value)
		return nla_put_u32(skb, type, small);
	return nla_put(skb, type, sizeof(value), &value);
}

static inline u64 nla_get_uint(const struct nlattr *nla)
{
	if (nla_len(nla) == sizeof(u32))
		return nla_get_u32(nla);
	return nla_get_u64(nla);
}
#endif

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 7, 0)
/* The range was not const, though nobody wrote to it. */
#undef NLA_POLICY_FULL_RANGE
#define NLA_POLICY_FULL_RANGE(tp, _range) {				\
	.type = NLA_ENSURE_UINT_OR_BINARY_TYPE(tp),			\
	.validation_type = NLA_VALIDATE_RANGE_PTR,			\
	.range = (struct netlink_range_validation *)(_range),		\
}
#endif

/*
 * On every kernel: the core's own keeps the limit in an s16, so a limit above
 * 32767 accepts everything and warns (lib/nlattr.c).
 */
#undef NLA_POLICY_MAX_LEN
#define NLA_POLICY_MAX_LEN(_len) { .type = NLA_BINARY, .len = (_len) }

#ifndef NL_ASSERT_CTX_FITS
#define NL_ASSERT_CTX_FITS(type)					\
	BUILD_BUG_ON(sizeof(type) > sizeof_field(struct netlink_callback, ctx))
#endif

#endif /* BULKDUMP_COMPAT_H */
