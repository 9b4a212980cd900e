// SPDX-License-Identifier: GPL-2.0-only
/*
 * Delays at named functions, so that races have time to happen. Any function will
 * do that has a symbol, of any module; the module under test needs no line for it.
 *
 *	insmod bulkdump_delay.ko functions=bulkdump:bulkdump_names_add,xa_store
 *
 * While a delay lasts, its processor does nothing else. The others go on. After a
 * delay, its function has none for fifty times as long: one that is called for each
 * record would leave no time for anything.
 */

#include <linux/atomic.h>
#include <linux/delay.h>
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/percpu.h>
#include <linux/prandom.h>
#include <linux/timekeeping.h>

#define FUNCTIONS_MAX 64

static char *functions[FUNCTIONS_MAX];
static unsigned int functions_nr;
module_param_array(functions, charp, &functions_nr, 0444);
MODULE_PARM_DESC(functions, "where: symbol or module:symbol, separated by commas");

static unsigned int longest = 200;
module_param(longest, uint, 0444);
MODULE_PARM_DESC(longest, "microseconds of the longest delay, 1 to 10000");

static unsigned int rarity = 8;
module_param(rarity, uint, 0444);
MODULE_PARM_DESC(rarity, "one call in that many is delayed");

static unsigned long long seed = 1;
module_param(seed, ullong, 0444);
MODULE_PARM_DESC(seed, "another seed delays other calls");

static atomic_t delays;

static int delays_get(char *buffer, const struct kernel_param *kp)
{
	return sysfs_emit(buffer, "%d\n", atomic_read(&delays));
}

static const struct kernel_param_ops delays_ops = { .get = delays_get };
module_param_cb(delays, &delays_ops, NULL, 0444);
MODULE_PARM_DESC(delays, "how many there were");

/**
 * struct point - a function whose calls are delayed
 * @probe: at its start
 * @next: no delay before this time, in ns
 */
struct point {
	struct kprobe probe;
	u64 next;
};

static struct point points[FUNCTIONS_MAX];

/* Per processor and without a lock: a probe may hit anywhere. */
static DEFINE_PER_CPU(struct rnd_state, dice);

static int delay(struct kprobe *probe, struct pt_regs *regs)
{
	struct point *point = container_of(probe, struct point, probe);
	struct rnd_state *state = this_cpu_ptr(&dice);
	u64 now = ktime_get_mono_fast_ns();
	u32 length;

	if (now < READ_ONCE(point->next) || prandom_u32_state(state) % rarity)
		return 0;
	length = 1 + prandom_u32_state(state) % longest;
	WRITE_ONCE(point->next, now + 50ULL * length * NSEC_PER_USEC);
	atomic_inc(&delays);
	udelay(length);
	return 0;
}

static int __init delay_init(void)
{
	unsigned int i;
	int cpu, err;

	if (!functions_nr || longest < 1 || longest > 10000 || !rarity) {
		pr_err("bulkdump_delay: nothing to delay: see modinfo\n");
		return -EINVAL;
	}
	for_each_possible_cpu(cpu)
		prandom_seed_state(per_cpu_ptr(&dice, cpu), seed + cpu);
	for (i = 0; i < functions_nr; i++) {
		points[i].probe.symbol_name = functions[i];
		points[i].probe.pre_handler = delay;
		err = register_kprobe(&points[i].probe);
		if (err) {
			pr_err("bulkdump_delay: %s: %d\n", functions[i], err);
			goto unwind;
		}
	}
	return 0;
unwind:
	while (i--)
		unregister_kprobe(&points[i].probe);
	return err;
}

static void __exit delay_exit(void)
{
	unsigned int i;

	for (i = 0; i < functions_nr; i++)
		unregister_kprobe(&points[i].probe);
}

module_init(delay_init);
module_exit(delay_exit);
MODULE_DESCRIPTION("Delays at named functions, for tests of races");
MODULE_LICENSE("GPL");
