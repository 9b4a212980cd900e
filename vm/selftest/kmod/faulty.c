// SPDX-License-Identifier: GPL-2.0-only
/*
 * Faults for the harness to find. A fault happens when the module is loaded
 * (fault=NAME), or later:
 *
 *   echo NAME > /sys/module/faulty/parameters/fault
 *
 * For kernels from 6.1 on. Never load it into a kernel that you need.
 */

#include <linux/completion.h>
#include <linux/cpumask.h>
#include <linux/delay.h>
#include <linux/jiffies.h>
#include <linux/kernel.h>
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/panic.h>
#include <linux/preempt.h>
#include <linux/rcupdate.h>
#include <linux/refcount.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/stop_machine.h>
#include <linux/string.h>
#include <linux/timer.h>

/* Keeps the compiler from seeing the faults and from removing them. */
static unsigned long sink;

static bool load_fails;

static int fault_load(void)
{
	load_fails = true;
	return 0;
}

static int fault_unload(void)
{
	__module_get(THIS_MODULE);
	return 0;
}

static int fault_taint(void)
{
	add_taint(TAINT_USER, LOCKDEP_STILL_OK);
	return 0;
}

static int fault_warn(void)
{
	WARN(1, "faulty: a warning to order\n");
	return 0;
}

static int fault_panic(void)
{
	panic("faulty: a panic to order");
}

static int fault_oops(void)
{
	unsigned long *nowhere = NULL;

	OPTIMIZER_HIDE_VAR(nowhere);
	WRITE_ONCE(*nowhere, 1);
	return 0;
}

static int fault_refcount(void)
{
	refcount_t count = REFCOUNT_INIT(1);

	refcount_dec(&count);
	return 0;
}

static int fault_use_after_free(void)
{
	unsigned long *p = kzalloc(64, GFP_KERNEL);
	unsigned long *stale = p;

	if (!p)
		return -ENOMEM;
	OPTIMIZER_HIDE_VAR(stale);
	kfree(p);
	sink = READ_ONCE(stale[1]);
	return 0;
}

/* Several objects, because a stale register may still point to the last one. */
static int fault_leak(void)
{
	int i;

	for (i = 0; i < 8; i++) {
		void *p = kmalloc(512, GFP_KERNEL);

		if (!p)
			return -ENOMEM;
		memset(p, i + 1, 512);
		OPTIMIZER_HIDE_VAR(p);
	}
	return 0;
}

/* A cache with a constructor is not merged with other caches. */
static void construct(void *object)
{
}

/* An object that outlives its cache, which is destroyed here. */
static int fault_cache(void)
{
	struct kmem_cache *cache;
	int err = 0;

	cache = kmem_cache_create("faulty", 200, 0, 0, construct);
	if (!cache)
		return -ENOMEM;
	if (!kmem_cache_alloc(cache, GFP_KERNEL))
		err = -ENOMEM;
	kmem_cache_destroy(cache);
	return err;
}

static DEFINE_MUTEX(lock_a);
static DEFINE_MUTEX(lock_b);

static int fault_inversion(void)
{
	mutex_lock(&lock_a);
	mutex_lock(&lock_b);
	mutex_unlock(&lock_b);
	mutex_unlock(&lock_a);

	mutex_lock(&lock_b);
	mutex_lock(&lock_a);
	mutex_unlock(&lock_a);
	mutex_unlock(&lock_b);
	return 0;
}

static int fault_atomic(void)
{
	preempt_disable();
	msleep(20);
	/*
	 * No preempt_enable(): the scheduler corrected the count when it
	 * reported the error (kernel/sched/core.c:schedule_debug). If the count
	 * fell below zero, the kernel would take the task for an interrupt
	 * until it is scheduled again, and the task might hang in its exit.
	 */
	return 0;
}

static DEFINE_SPINLOCK(spinlock);

/* A function that may sleep, called where it must not. It need not sleep. */
static int fault_may_sleep(void)
{
	spin_lock(&spinlock);
	kfree(kmalloc(64, GFP_KERNEL));
	spin_unlock(&spinlock);
	return 0;
}

static unsigned long __rcu *guarded;

static int fault_rcu(void)
{
	sink = !!rcu_dereference(guarded);
	return 0;
}

static int fault_shift(void)
{
	int by = 40;

	OPTIMIZER_HIDE_VAR(by);
	sink = 1 << by;
	return 0;
}

/* The compiler would see that nobody writes it. */
static noinline int *uninit_alloc(void)
{
	return kmalloc(sizeof(int), GFP_KERNEL);
}

static int fault_uninit(void)
{
	int *p = uninit_alloc();

	if (!p)
		return -ENOMEM;
	if (*p)
		pr_info("faulty: %p\n", p);
	kfree(p);
	return 0;
}

struct timed {
	struct timer_list timer;
};

static void timed_out(struct timer_list *timer)
{
}

static int fault_object(void)
{
	struct timed *t = kzalloc(sizeof(*t), GFP_KERNEL);

	if (!t)
		return -ENOMEM;
	timer_setup(&t->timer, timed_out, 0);
	mod_timer(&t->timer, jiffies + 3600 * HZ);
	kfree(t);
	return 0;
}

static unsigned long raced;

static int racer(void *unused)
{
	while (!kthread_should_stop()) {
		raced++;
		cond_resched();
	}
	return 0;
}

static int fault_race(void)
{
	struct task_struct *racers[2];
	int i, n, err = 0;

	for (n = 0; n < ARRAY_SIZE(racers); n++) {
		racers[n] = kthread_run(racer, NULL, "racer%d", n);
		if (IS_ERR(racers[n])) {
			err = PTR_ERR(racers[n]);
			break;
		}
	}
	msleep(3000);
	for (i = 0; i < n; i++)
		kthread_stop(racers[i]);
	return err;
}

/* A processor that does nothing else for a while. */
static int fault_spin(void)
{
	/*
	 * The watchdogs use jiffies or ktime. mdelay() uses neither: a guest
	 * that boots on a busy machine may think that its processor is slower
	 * than it is, and then 6000 delays of a millisecond end too early.
	 */
	unsigned long end = jiffies + 6 * HZ;
	ktime_t end_ktime = ktime_add_ms(ktime_get(), 6000);

	preempt_disable();
	while (time_before(jiffies, end) || ktime_before(ktime_get(), end_ktime)) {
		/*
		 * RCU reports a stall only if a grace period waits for this
		 * processor. One that began before already has what it needs.
		 * So start another one here.
		 */
		start_poll_synchronize_rcu();
		mdelay(1);
	}
	preempt_enable();
	return 0;
}

/* A task that ignores all signals, for a while or for ever. */
static int fault_sleep(void)
{
	schedule_timeout_uninterruptible(6 * HZ);
	return 0;
}

static DECLARE_COMPLETION(never);

static int fault_stuck(void)
{
	wait_for_completion(&never);
	return 0;
}

static int spin_for_ever(void *unused)
{
	for (;;)
		cpu_relax();
	return 0;
}

/* All processors, with interrupts off. */
static int fault_hang(void)
{
	return stop_machine(spin_for_ever, NULL, cpu_online_mask);
}

static bool exit_hangs;

static int fault_exit(void)
{
	exit_hangs = true;
	return 0;
}

/* More than the log can hold, faster than anybody reads it. */
static int fault_flood(void)
{
	int i;

	for (i = 0; i < 100000; i++)
		pr_info("faulty: %080d\n", i);
	return 0;
}

static const struct {
	const char *name;
	int (*set_off)(void);
} faults[] = {
	{ "atomic", fault_atomic },
	{ "cache", fault_cache },
	{ "exit", fault_exit },
	{ "flood", fault_flood },
	{ "hang", fault_hang },
	{ "inversion", fault_inversion },
	{ "leak", fault_leak },
	{ "load", fault_load },
	{ "may-sleep", fault_may_sleep },
	{ "object", fault_object },
	{ "oops", fault_oops },
	{ "panic", fault_panic },
	{ "race", fault_race },
	{ "rcu", fault_rcu },
	{ "refcount", fault_refcount },
	{ "shift", fault_shift },
	{ "sleep", fault_sleep },
	{ "spin", fault_spin },
	{ "stuck", fault_stuck },
	{ "taint", fault_taint },
	{ "uninit", fault_uninit },
	{ "unload", fault_unload },
	{ "use-after-free", fault_use_after_free },
	{ "warn", fault_warn },
};

static int set_fault(const char *name, const struct kernel_param *kp)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(faults); i++)
		if (sysfs_streq(name, faults[i].name))
			return faults[i].set_off();
	return -EINVAL;
}

static const struct kernel_param_ops fault_ops = { .set = set_fault };

module_param_cb(fault, &fault_ops, NULL, 0200);
MODULE_PARM_DESC(fault, "the fault to set off, now");

static int __init faulty_init(void)
{
	return load_fails ? -EIO : 0;
}

static void __exit faulty_exit(void)
{
	if (exit_hangs)
		wait_for_completion(&never);
}

module_init(faulty_init);
module_exit(faulty_exit);
MODULE_DESCRIPTION("faults to order, for the harness to find");
MODULE_LICENSE("GPL");
