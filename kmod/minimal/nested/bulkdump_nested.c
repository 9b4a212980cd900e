// SPDX-License-Identifier: GPL-2.0-only
/*
 * The smallest correct dump of objects that have children, over generic
 * netlink: copy it and put your own parents and children in. Kernels from 6.1
 * on, no other file.
 *
 *   echo 7 0 1000 > /sys/module/bulkdump_nested/parameters/parent
 *
 * gives parent 7 the children 0 to 999 and no others.
 *
 *   echo 7 > /sys/module/bulkdump_nested/parameters/parent
 *
 * removes it with its children. Both work while somebody dumps it.
 *
 * A message has a parent and as many of its children as fit. If some are left,
 * the next message has the same parent and the next children. A parent without
 * children is one message.
 */

#include <linux/module.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/xarray.h>
#include <net/genetlink.h>

enum { NESTED_A_ID = 1, NESTED_A_CHILD, __NESTED_A_MAX };
enum { NESTED_A_CHILD_ID = 1, NESTED_A_CHILD_VALUE };
enum { NESTED_CMD_GET = 1 };

/* The largest key of both, so that the key after it still fits in 32 bits. */
#define KEY_MAX (U32_MAX - 1)

struct child {
	u32 id;
	u32 value;
};

struct parent {
	u32 id;
	struct xarray children;	/* id to child; under parents_lock */
};

static DEFINE_XARRAY(parents);		/* id to parent; under parents_lock */
static DEFINE_MUTEX(parents_lock);	/* writers, and the generation */
static u32 parents_generation = 1;	/* rises before each change; never 0 */

/* What a dump remembers between two pages: two keys and no object. */
struct dump_ctx {
	unsigned long parent;	/* the first parent not sent with all children */
	unsigned long child;	/* its first child not sent; 0: not begun */
};

static struct genl_family nested_family;

static struct dump_ctx *dump_ctx(struct netlink_callback *cb)
{
	static_assert(sizeof(struct dump_ctx) <=
		      sizeof_field(struct netlink_callback, ctx));
	return (struct dump_ctx *)cb->ctx;
}

static int nested_start(struct netlink_callback *cb)
{
	struct dump_ctx *ctx = dump_ctx(cb);

	ctx->parent = 0;
	ctx->child = 0;
	/* So that a change before the first page counts, too. */
	cb->prev_seq = READ_ONCE(parents_generation);
	return 0;
}

static int put_child(struct sk_buff *skb, const struct child *c)
{
	struct nlattr *nest = nla_nest_start(skb, NESTED_A_CHILD);

	if (!nest)
		return -EMSGSIZE;
	if (nla_put_u32(skb, NESTED_A_CHILD_ID, c->id) ||
	    nla_put_u32(skb, NESTED_A_CHILD_VALUE, c->value)) {
		nla_nest_cancel(skb, nest);
		return -EMSGSIZE;
	}
	nla_nest_end(skb, nest);
	return 0;
}

/* Returns -EMSGSIZE if some of the children did not fit the page. */
static int put_parent(struct sk_buff *skb, struct netlink_callback *cb,
		      struct parent *p)
{
	struct dump_ctx *ctx = dump_ctx(cb);
	unsigned long next = ctx->child;
	bool empty = true;
	struct child *c;
	int err = 0;
	void *hdr;

	/* NLM_F_MULTI: more follow, up to DONE. */
	hdr = genlmsg_put(skb, NETLINK_CB(cb->skb).portid, cb->nlh->nlmsg_seq,
			  &nested_family, NLM_F_MULTI, NESTED_CMD_GET);
	if (!hdr)
		return -EMSGSIZE;
	if (nla_put_u32(skb, NESTED_A_ID, p->id)) {
		genlmsg_cancel(skb, hdr);
		return -EMSGSIZE;
	}
	for (; (c = xa_find(&p->children, &next, KEY_MAX, XA_PRESENT)); next++) {
		err = put_child(skb, c);
		if (err)
			break;
		empty = false;
	}
	/*
	 * No child was put. Either none fits, and the parent begins on the next
	 * page; or the parent was begun, and its other children are gone.
	 */
	if (empty && (err || ctx->child)) {
		genlmsg_cancel(skb, hdr);
		return err;
	}
	ctx->child = next;
	/* Tells the reader if something changed. Last: a cancel would lose it. */
	genl_dump_check_consistent(cb, hdr);
	genlmsg_end(skb, hdr);
	return err;
}

/* The parent at the cursor, or the next one. */
static struct parent *find_parent(struct dump_ctx *ctx)
{
	unsigned long id = ctx->parent;
	struct parent *p;

	p = xa_find(&parents, &ctx->parent, KEY_MAX, XA_PRESENT);
	/* The parent that the last page ended in is gone. */
	if (ctx->parent != id)
		ctx->child = 0;
	return p;
}

static int nested_dumpit(struct sk_buff *skb, struct netlink_callback *cb)
{
	struct dump_ctx *ctx = dump_ctx(cb);
	struct parent *p;
	int err = 0;

	/* No writer holds the lock, so a page has one generation. */
	mutex_lock(&parents_lock);
	cb->seq = parents_generation;
	for (; (p = find_parent(ctx)); ctx->parent++, ctx->child = 0) {
		err = put_parent(skb, cb, p);
		if (err)
			break;
	}
	mutex_unlock(&parents_lock);

	/* A full page: more to come. On an empty page the error is one. */
	if (err == -EMSGSIZE && skb->len)
		return skb->len;
	return err;
}

/* The dump takes no attributes. Give one that becomes a filter its type. */
static const struct nla_policy nested_policy[__NESTED_A_MAX] = {
	[NESTED_A_ID] = { .type = NLA_REJECT },
	[NESTED_A_CHILD] = { .type = NLA_REJECT },
};

static const struct genl_ops nested_ops[] = {
	{
		.cmd		= NESTED_CMD_GET,
		.start		= nested_start,
		.dumpit		= nested_dumpit,
		.policy		= nested_policy,
		.maxattr	= __NESTED_A_MAX - 1,
	},
};

static struct genl_family nested_family __ro_after_init = {
	.name		= "bulkdump_nested",
	.version	= 1,
	.module		= THIS_MODULE,	/* or rmmod during a dump is unsafe */
	.ops		= nested_ops,
	.n_ops		= ARRAY_SIZE(nested_ops),
	.parallel_ops	= true,		/* parents_lock is enough */
};

static void parent_remove(struct parent *p)
{
	struct child *c;
	unsigned long id;

	if (!p)
		return;
	xa_erase(&parents, p->id);
	xa_for_each(&p->children, id, c)
		kfree(c);
	xa_destroy(&p->children);
	kfree(p);
}

static struct parent *parent_get(u32 id)
{
	struct parent *p = xa_load(&parents, id);

	if (p)
		return p;
	p = kzalloc(sizeof(*p), GFP_KERNEL);
	if (!p)
		return NULL;
	p->id = id;
	xa_init(&p->children);
	if (xa_insert(&parents, id, p, GFP_KERNEL)) {
		kfree(p);
		return NULL;
	}
	return p;
}

/* Gives it the children from, from + 1 and so on, and no others. */
static int parent_resize(struct parent *p, u32 from, u32 count)
{
	struct child *c;
	unsigned long id;
	int err;

	xa_for_each(&p->children, id, c)
		if (id < from || id - from >= count)
			kfree(xa_erase(&p->children, id));
	for (id = from; id - from < count; id++) {
		if (xa_load(&p->children, id))
			continue;
		c = kzalloc(sizeof(*c), GFP_KERNEL);
		if (!c)
			return -ENOMEM;
		c->id = id;
		c->value = p->id ^ ~c->id;
		err = xa_insert(&p->children, id, c, GFP_KERNEL);
		if (err) {
			kfree(c);
			return err;
		}
	}
	return 0;
}

/*
 * From init to exit. At another time nobody would free a parent: insmod writes the
 * parameter before init, and never gets there if it refuses the next one.
 */
static bool parents_open;		/* under kernel_param_lock() */

static int parent_set(const char *text, const struct kernel_param *kp)
{
	u64 id, from = 0, count = 0;
	struct parent *p;
	int given, end, err;

	if (!parents_open)
		return -ENODEV;
	/* Not %u, which cuts a number that is too large. */
	given = sscanf(text, "%19llu%n %19llu %19llu%n", &id, &end, &from, &count, &end);
	if ((given != 1 && given != 3) || *skip_spaces(text + end) || id > KEY_MAX ||
	    from > KEY_MAX || count > KEY_MAX - from + 1)
		return -EINVAL;
	mutex_lock(&parents_lock);
	WRITE_ONCE(parents_generation, parents_generation % U32_MAX + 1);
	if (given == 1) {
		parent_remove(xa_load(&parents, id));
		err = 0;
	} else {
		p = parent_get(id);
		err = p ? parent_resize(p, from, count) : -ENOMEM;
	}
	mutex_unlock(&parents_lock);
	return err;
}

static const struct kernel_param_ops parent_ops = {
	.set = parent_set,
};

module_param_cb(parent, &parent_ops, NULL, 0200);
MODULE_PARM_DESC(parent, "ID FROM COUNT: make a parent with these children, or change it; ID: remove it");

static void parents_close(void)
{
	struct parent *p;
	unsigned long id;

	kernel_param_lock(THIS_MODULE);
	parents_open = false;
	mutex_lock(&parents_lock);
	xa_for_each(&parents, id, p)
		parent_remove(p);
	mutex_unlock(&parents_lock);
	kernel_param_unlock(THIS_MODULE);
	xa_destroy(&parents);
}

static int __init nested_init(void)
{
	int err = genl_register_family(&nested_family);

	if (err)
		return err;
	kernel_param_lock(THIS_MODULE);
	parents_open = true;
	kernel_param_unlock(THIS_MODULE);
	return 0;
}

static void __exit nested_exit(void)
{
	genl_unregister_family(&nested_family);
	parents_close();
}

module_init(nested_init);
module_exit(nested_exit);

MODULE_DESCRIPTION("The smallest correct dump of objects with children over generic netlink");
MODULE_LICENSE("GPL");
