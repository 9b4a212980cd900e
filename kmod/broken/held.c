// SPDX-License-Identifier: GPL-2.0-only
/* What a dump holds between two pages, and what it does not give back: rule 7. */

#include <linux/module.h>
#include <linux/semaphore.h>
#include <linux/slab.h>
#include <linux/workqueue.h>

#include "broken.h"

static unsigned long global_next;	/* under objects_lock */

/* GLOBAL, 7: the cursor is global. */
static int global_start(struct netlink_callback *cb)
{
	mutex_lock(&objects_lock);
	global_next = 0;
	mutex_unlock(&objects_lock);
	return sound_start(cb);
}

static int global_dumpit(struct sk_buff *skb, struct netlink_callback *cb)
{
	if (!visible(cb))
		return 0;
	return page_end(skb, walk(skb, cb, &generation, &global_next, put_object));
}

/*
 * What LOCK holds, and NEW needs. It is a semaphore, because lockdep would tell of
 * a mutex that is held on return to user space; and it gives up after two seconds.
 */
static struct semaphore dumps;

int lock_dumps(void)
{
	return down_timeout(&dumps, 2 * HZ) ? -EBUSY : 0;
}

void unlock_dumps(void)
{
	up(&dumps);
}

/* LOCK, 7: a lock is held from page to page. */
static int lock_start(struct netlink_callback *cb)
{
	return lock_dumps() ?: sound_start(cb);
}

static int lock_done(struct netlink_callback *cb)
{
	unlock_dumps();
	return 0;
}

/* Memory of dumps: 64 MiB at most, and nothing leaks from there on. */
#define LEAK_MAX 16384
static DEFINE_XARRAY_ALLOC(memory);

static void memory_put(unsigned long id)
{
	kfree(xa_erase(&memory, id));
}

static int memory_get(struct netlink_callback *cb)
{
	void *p = kzalloc(4096, GFP_KERNEL);
	u32 id = LEAK_MAX;

	if (!p)
		return -ENOMEM;
	if (xa_alloc(&memory, &id, p, XA_LIMIT(0, LEAK_MAX - 1), GFP_KERNEL))
		kfree(p);
	dump_ctx(cb)->inner = id;
	return 0;
}

/* LEAK, 7: the memory is freed at the end, and not in done(). */
static int leak_start(struct netlink_callback *cb)
{
	return memory_get(cb) ?: sound_start(cb);
}

static int leak_dumpit(struct sk_buff *skb, struct netlink_callback *cb)
{
	int err = sound_dumpit(skb, cb);

	if (err <= 0)
		memory_put(dump_ctx(cb)->inner);
	return err;
}

/* UNWIND, 7: a start() that refuses a filter does not free the memory. */
static int unwind_start(struct netlink_callback *cb)
{
	const struct nlattr *from = dump_attr(cb, BROKEN_A_FROM);
	int err = memory_get(cb);

	if (err)
		return err;
	if (from) {
		NL_SET_ERR_MSG_ATTR(cb->extack, from, "no filter today");
		return -EOPNOTSUPP;
	}
	return sound_start(cb);
}

static int unwind_done(struct netlink_callback *cb)
{
	memory_put(dump_ctx(cb)->inner);
	return 0;
}

/* References to the module. They come back three seconds after the last dump began. */
static atomic_t held;

static void held_put(void)
{
	if (atomic_dec_if_positive(&held) >= 0)
		module_put(THIS_MODULE);
}

static void held_put_all(struct work_struct *work)
{
	while (atomic_read(&held))
		held_put();
}

static DECLARE_DELAYED_WORK(held_work, held_put_all);

/* HELD, 7: the reference is put at the end, and not in done(). */
static int held_start(struct netlink_callback *cb)
{
	__module_get(THIS_MODULE);
	atomic_inc(&held);
	mod_delayed_work(system_long_wq, &held_work, 3 * HZ);
	return sound_start(cb);
}

static int held_dumpit(struct sk_buff *skb, struct netlink_callback *cb)
{
	int err = sound_dumpit(skb, cb);

	if (err <= 0)
		held_put();
	return err;
}

void held_init(void)
{
	sema_init(&dumps, 1);
}

/* Gives back what dumps leaked. A dump that runs does not use what it has. */
void held_release(void)
{
	unsigned long id;
	void *p;

	xa_for_each(&memory, id, p)
		memory_put(id);
	held_put_all(NULL);
}

void held_exit(void)
{
	cancel_delayed_work_sync(&held_work);
	xa_destroy(&memory);
}

/* SCRATCH, 7: the filter of the dump that began last is that of all. */
static u32 scratch;

static int scratch_start(struct netlink_callback *cb)
{
	const struct nlattr *from = dump_attr(cb, BROKEN_A_FROM);

	if (from)
		cb->answer_flags |= NLM_F_DUMP_FILTERED;
	WRITE_ONCE(scratch, from ? nla_get_u32(from) : 0);
	return sound_start(cb);
}

static int put_scratch(struct sk_buff *skb, struct netlink_callback *cb,
		       struct object *o)
{
	return o->id < READ_ONCE(scratch) ? 0 : put_object(skb, cb, o);
}

static int scratch_dumpit(struct sk_buff *skb, struct netlink_callback *cb)
{
	return page(skb, cb, put_scratch);
}

static const struct genl_ops ops[] = {
	DUMP(GLOBAL, global_start, global_dumpit),
	DUMP(LOCK, lock_start, sound_dumpit, .done = lock_done),
	DUMP(LEAK, leak_start, leak_dumpit),
	DUMP(HELD, held_start, held_dumpit),
	DUMP(UNWIND, unwind_start, sound_dumpit,
	     .done = unwind_done, TAKES(from_policy)),
	DUMP(SCRATCH, scratch_start, scratch_dumpit, TAKES(from_policy)),
};

const struct broken_ops held_ops = { ops, ARRAY_SIZE(ops) };
