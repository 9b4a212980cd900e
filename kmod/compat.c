// SPDX-License-Identifier: GPL-2.0-only
/* What compat.h cannot do in macros. */

#include <linux/slab.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 7, 0)
int compat_validate_uint(const struct nlattr *attr,
			 struct netlink_ext_ack *extack)
{
	if (nla_len(attr) == sizeof(u32) || nla_len(attr) == sizeof(u64))
		return 0;
	NL_SET_ERR_MSG_ATTR(extack, attr, "invalid attribute length");
	return -EINVAL;
}
#endif

#ifdef COMPAT_MERGE_OPS
/* From here on, these are the core's own. */
#undef genl_register_family
#undef genl_unregister_family

/* The family's ops as they were written. A module has one family. */
static const struct genl_ops *compat_ops;
static unsigned int compat_n_ops;

static const struct genl_ops *compat_op(u8 cmd, u8 cap)
{
	unsigned int i;

	for (i = 0; i < compat_n_ops; i++)
		if (compat_ops[i].cmd == cmd && compat_ops[i].flags & cap)
			return &compat_ops[i];
	return NULL;
}

/* Parses the request of one half strictly, with the policy of that half. */
static struct nlattr **compat_parse(const struct nlmsghdr *nlh,
				    const struct genl_family *family,
				    const struct genl_ops *op,
				    struct netlink_ext_ack *extack)
{
	struct nlattr **attrs;
	int err;

	attrs = kcalloc(op->maxattr + 1, sizeof(*attrs), GFP_KERNEL);
	if (!attrs)
		return ERR_PTR(-ENOMEM);
	err = genlmsg_parse(nlh, family, attrs, op->maxattr, op->policy,
			    extack);
	if (err) {
		kfree(attrs);
		return ERR_PTR(err);
	}
	return attrs;
}

static const struct genl_family *compat_family;

static int compat_doit(struct sk_buff *skb, struct genl_info *info)
{
	const struct genl_ops *op = compat_op(info->genlhdr->cmd,
					      GENL_CMD_CAP_DO);
	struct nlattr **attrs;
	int err;

	attrs = compat_parse(info->nlhdr, compat_family, op, info->extack);
	if (IS_ERR(attrs))
		return PTR_ERR(attrs);
	info->attrs = attrs;
	err = op->doit(skb, info);
	info->attrs = NULL;
	kfree(attrs);
	return err;
}

/* A refusal by start() on its way to the reader, in the dump's ctx. */
struct compat_refusal {
	const char *msg;
	int err;
};

static int compat_refused_dump(struct sk_buff *skb,
			       struct netlink_callback *cb)
{
	struct compat_refusal *refusal = (void *)cb->ctx;

	/* By hand, only here: NL_SET_ERR_MSG() takes nothing but a literal. */
	if (cb->extack)
		cb->extack->_msg = refusal->msg;
	return refusal->err;
}

/*
 * Older cores call start() without an extack, so its error reaches the reader
 * without a text. A refusal that has one becomes a dump that ends at once with
 * that error: DONE carries both errno and text. It does not name the attribute
 * that is to blame: the core puts that only into NLMSG_ERROR (netlink_dump_done()).
 */
static int compat_start(struct netlink_callback *cb)
{
	struct genl_dumpit_info *info = cb->data;
	const struct genl_ops *op = compat_op(info->op.cmd, GENL_CMD_CAP_DUMP);
	struct compat_refusal *refusal = (void *)cb->ctx;
	struct netlink_ext_ack extack = {};
	struct nlattr **attrs;
	int err;

	NL_ASSERT_CTX_FITS(struct compat_refusal);

	cb->extack = &extack;
	attrs = compat_parse(cb->nlh, info->family, op, &extack);
	if (IS_ERR(attrs)) {
		err = PTR_ERR(attrs);
	} else {
		/* The core frees them when the dump ends or start() fails. */
		kfree(info->attrs);
		info->attrs = attrs;
		err = op->start(cb);
	}
	cb->extack = NULL;
	if (!err || !extack._msg)
		return err;

	refusal->msg = extack._msg;
	refusal->err = err;
	cb->dump = compat_refused_dump;
	return 0;
}

static int compat_done(struct netlink_callback *cb)
{
	const struct genl_dumpit_info *info = genl_dumpit_info(cb);

	if (cb->dump == compat_refused_dump)
		return 0;
	return compat_op(info->op.cmd, GENL_CMD_CAP_DUMP)->done(cb);
}

static void compat_add_policy(struct nla_policy *to, const struct genl_ops *op)
{
	unsigned int i;

	for (i = 1; i <= op->maxattr; i++)
		if (op->policy[i].type != NLA_UNSPEC)
			memcpy(&to[i], &op->policy[i], sizeof(to[i]));
}

/*
 * The union of both policies: what the core checks, and exports. An attribute that
 * both halves take comes from one place in the spec, so its policy is the same.
 */
static int compat_merge_policy(struct genl_ops *to, const struct genl_ops *dump)
{
	unsigned int maxattr = max(to->maxattr, dump->maxattr);
	struct nla_policy *policy;

	policy = kcalloc(maxattr + 1, sizeof(*policy), GFP_KERNEL);
	if (!policy)
		return -ENOMEM;
	compat_add_policy(policy, to);
	compat_add_policy(policy, dump);
	to->policy = policy;
	to->maxattr = maxattr;
	return 0;
}

/*
 * A command with do and dump becomes one op. The wrappers above let each half
 * take its own attributes only. Returns the number of ops.
 */
static int compat_merge(struct genl_ops *to)
{
	const struct genl_ops *from = compat_ops;
	unsigned int i, n = 0;

	for (i = 0; i < compat_n_ops; i++) {
		const struct genl_ops *dump;

		dump = compat_op(from[i].cmd, GENL_CMD_CAP_DUMP);
		if (&from[i] == dump)
			continue;
		to[n] = from[i];
		if (dump) {
			if (compat_merge_policy(&to[n], dump))
				return -ENOMEM;
			to[n].doit = compat_doit;
			to[n].start = compat_start;
			to[n].dumpit = dump->dumpit;
			to[n].done = compat_done;
			to[n].flags |= dump->flags;
		}
		n++;
	}
	return n;
}

static void compat_free(struct genl_ops *merged)
{
	struct genl_ops *op;

	/* There is room for one op a half; the first unused one has no command. */
	for (op = merged; op < merged + compat_n_ops && op->cmd; op++)
		if (op->doit == compat_doit)
			kfree(op->policy);
	kfree(merged);
}

int compat_register_family(struct genl_family *family)
{
	struct genl_ops *merged;
	int err;

	compat_family = family;
	compat_ops = family->ops;
	compat_n_ops = family->n_ops;

	merged = kcalloc(compat_n_ops, sizeof(*merged), GFP_KERNEL);
	if (!merged)
		return -ENOMEM;
	err = compat_merge(merged);
	if (err > 0) {
		family->n_ops = err;
		family->ops = merged;
		err = genl_register_family(family);
	}
	if (err)
		compat_free(merged);
	return err;
}

void compat_unregister_family(struct genl_family *family)
{
	genl_unregister_family(family);
	compat_free((struct genl_ops *)family->ops);
}
#endif /* COMPAT_MERGE_OPS */
