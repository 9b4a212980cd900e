// SPDX-License-Identifier: GPL-2.0-only
/*
 * The smallest correct dump of a table over generic netlink: copy it and put
 * your own entries and attributes in. Kernels from 6.1 on, no other file.
 *
 *   echo 1000 > /sys/module/bulkdump_minimal/parameters/entries
 *
 * gives the table the entries 0, 10, 20 to 9990 and no others.
 *
 *   echo 7 5 > /sys/module/bulkdump_minimal/parameters/entry
 *
 * gives entry 7 the value 5, and makes it if it is not there.
 *
 *   echo 7 > /sys/module/bulkdump_minimal/parameters/entry
 *
 * removes it. All of this works while somebody dumps the table.
 */

#include <linux/module.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/xarray.h>
#include <net/genetlink.h>

enum { MINIMAL_A_ID = 1, MINIMAL_A_VALUE, __MINIMAL_A_MAX };
enum { MINIMAL_CMD_GET = 1 };

/* The largest key, so that the key after it still fits in 32 bits. */
#define KEY_MAX (U32_MAX - 1)

/* From one entry to the next that the parameter entries makes. */
#define ID_STEP 10

struct entry {
	u32 id;			/* the key: 0 to KEY_MAX */
	u32 value;
};

static DEFINE_XARRAY(table);		/* id to entry; under table_lock */
static DEFINE_MUTEX(table_lock);	/* writers, and the generation */
static unsigned int table_size;
static u32 table_generation = 1;	/* rises before each change; never 0 */

/* What a dump remembers between two pages: a key, no object and no count. */
struct dump_ctx {
	unsigned long next;	/* the smallest id not sent yet */
};

static struct genl_family minimal_family;

static struct dump_ctx *dump_ctx(struct netlink_callback *cb)
{
	static_assert(sizeof(struct dump_ctx) <=
		      sizeof_field(struct netlink_callback, ctx));
	return (struct dump_ctx *)cb->ctx;
}

static int minimal_start(struct netlink_callback *cb)
{
	dump_ctx(cb)->next = 0;
	/* So that a change before the first page counts, too. */
	cb->prev_seq = READ_ONCE(table_generation);
	return 0;
}

static int put_record(struct sk_buff *skb, struct netlink_callback *cb,
		      const struct entry *e)
{
	void *hdr;

	/* NLM_F_MULTI: more follow, up to DONE. */
	hdr = genlmsg_put(skb, NETLINK_CB(cb->skb).portid, cb->nlh->nlmsg_seq,
			  &minimal_family, NLM_F_MULTI, MINIMAL_CMD_GET);
	if (!hdr)
		return -EMSGSIZE;
	if (nla_put_u32(skb, MINIMAL_A_ID, e->id) ||
	    nla_put_u32(skb, MINIMAL_A_VALUE, e->value)) {
		genlmsg_cancel(skb, hdr);
		return -EMSGSIZE;
	}
	/* Tells the reader if the table changed. Last: a cancel would lose it. */
	genl_dump_check_consistent(cb, hdr);
	genlmsg_end(skb, hdr);
	return 0;
}

static int minimal_dumpit(struct sk_buff *skb, struct netlink_callback *cb)
{
	struct dump_ctx *ctx = dump_ctx(cb);
	struct entry *e;
	int err = 0;

	/* No writer holds the lock, so a page has one generation. */
	mutex_lock(&table_lock);
	cb->seq = table_generation;
	for (; (e = xa_find(&table, &ctx->next, KEY_MAX, XA_PRESENT)); ctx->next++) {
		err = put_record(skb, cb, e);
		if (err)
			break;
	}
	mutex_unlock(&table_lock);

	/* A full page: more to come. On an empty page the error is one. */
	if (err == -EMSGSIZE && skb->len)
		return skb->len;
	return err;
}

/* The dump takes no attributes. Give one that becomes a filter its type. */
static const struct nla_policy minimal_policy[__MINIMAL_A_MAX] = {
	[MINIMAL_A_ID] = { .type = NLA_REJECT },
	[MINIMAL_A_VALUE] = { .type = NLA_REJECT },
};

static const struct genl_ops minimal_ops[] = {
	{
		.cmd		= MINIMAL_CMD_GET,
		.start		= minimal_start,
		.dumpit		= minimal_dumpit,
		.policy		= minimal_policy,
		.maxattr	= __MINIMAL_A_MAX - 1,
	},
};

static struct genl_family minimal_family __ro_after_init = {
	.name		= "bulkdump_min",
	.version	= 1,
	.module		= THIS_MODULE,	/* or rmmod during a dump is unsafe */
	.ops		= minimal_ops,
	.n_ops		= ARRAY_SIZE(minimal_ops),
	.parallel_ops	= true,		/* table_lock is enough */
};

/* Before each change: no dump makes a page, and each running one is told. */
static void lock_for_change(void)
{
	mutex_lock(&table_lock);
	WRITE_ONCE(table_generation, table_generation % U32_MAX + 1);
}

static int table_set(u32 id, u32 value)
{
	struct entry *e = xa_load(&table, id);
	int err;

	if (e) {
		e->value = value;
		return 0;
	}
	e = kzalloc(sizeof(*e), GFP_KERNEL);
	if (!e)
		return -ENOMEM;
	e->id = id;
	e->value = value;
	err = xa_insert(&table, id, e, GFP_KERNEL);
	if (err)
		kfree(e);
	else
		table_size++;
	return err;
}

static void table_remove(u32 id)
{
	struct entry *e = xa_erase(&table, id);

	if (e)
		table_size--;
	kfree(e);
}

/* Gives the table these ids, with room for others between, and no others. */
static int table_resize(u32 size)
{
	struct entry *e;
	unsigned long id;
	int err = 0;

	xa_for_each(&table, id, e)
		if (id % ID_STEP || id / ID_STEP >= size)
			table_remove(id);
	for (id = 0; !err && id / ID_STEP < size; id += ID_STEP)
		if (!xa_load(&table, id))
			err = table_set(id, ~(u32)id);
	return err;
}

/*
 * From init to exit. At another time nobody would free an entry: insmod writes the
 * parameters before init, and never gets there if it refuses one of them.
 */
static bool table_open;			/* under kernel_param_lock() */
static u32 entries_wanted;		/* by insmod; init makes them */

static int entries_set(const char *text, const struct kernel_param *kp)
{
	u32 size;
	int err = kstrtou32(text, 0, &size);

	if (err)
		return err;
	if (size > KEY_MAX / ID_STEP)
		return -EINVAL;
	if (!table_open) {
		entries_wanted = size;
		return 0;
	}
	lock_for_change();
	err = table_resize(size);
	mutex_unlock(&table_lock);
	return err;
}

static const struct kernel_param_ops entries_ops = {
	.set = entries_set,
	.get = param_get_uint,
};

module_param_cb(entries, &entries_ops, &table_size, 0644);
MODULE_PARM_DESC(entries, "how many entries the table has");

static int entry_set(const char *text, const struct kernel_param *kp)
{
	u64 id, value = 0;
	int given, end, err = 0;

	/* Not %u, which cuts a number that is too large. */
	given = sscanf(text, "%19llu%n %19llu%n", &id, &end, &value, &end);
	if (given < 1 || *skip_spaces(text + end) || id > KEY_MAX || value > U32_MAX)
		return -EINVAL;
	if (!table_open)
		return -ENODEV;
	lock_for_change();
	if (given == 1)
		table_remove(id);
	else
		err = table_set(id, value);
	mutex_unlock(&table_lock);
	return err;
}

static const struct kernel_param_ops entry_ops = {
	.set = entry_set,
};

module_param_cb(entry, &entry_ops, NULL, 0200);
MODULE_PARM_DESC(entry, "ID VALUE: make an entry, or change it; ID: remove it");

static void table_close(void)
{
	kernel_param_lock(THIS_MODULE);
	table_open = false;
	lock_for_change();
	table_resize(0);
	mutex_unlock(&table_lock);
	kernel_param_unlock(THIS_MODULE);
	xa_destroy(&table);
}

static int __init minimal_init(void)
{
	int err;

	kernel_param_lock(THIS_MODULE);
	table_open = true;
	lock_for_change();
	err = table_resize(entries_wanted);
	mutex_unlock(&table_lock);
	kernel_param_unlock(THIS_MODULE);
	err = err ?: genl_register_family(&minimal_family);
	if (err)
		table_close();
	return err;
}

static void __exit minimal_exit(void)
{
	genl_unregister_family(&minimal_family);
	table_close();
}

module_init(minimal_init);
module_exit(minimal_exit);

MODULE_DESCRIPTION("The smallest correct dump of a table over generic netlink");
MODULE_LICENSE("GPL");
