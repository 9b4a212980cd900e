// SPDX-License-Identifier: GPL-2.0-only
/* The guard: grab. With guard=rcu, nothing here has anything to do. */

#include <linux/moduleparam.h>
#include <linux/string.h>

#include "guard.h"
#include "trace.h"

static char *guard_name = "rcu";
module_param_named(guard, guard_name, charp, 0444);
MODULE_PARM_DESC(guard, "who waits for whom: rcu (readers never wait) or grab (a writer waits until no reader is in)");

static bool grab __ro_after_init;

/* Called once, before there is a table. */
int __init bulkdump_guard_check(void)
{
	if (strcmp(guard_name, "rcu") && strcmp(guard_name, "grab")) {
		pr_err("bulkdump: guard=%s is neither rcu nor grab\n", guard_name);
		return -EINVAL;
	}
	grab = !strcmp(guard_name, "grab");
	return 0;
}

void bulkdump_guard_init(struct bulkdump_guard *guard)
{
	spin_lock_init(&guard->lock);
	init_waitqueue_head(&guard->wait);
}

/* All trace events are under the lock. @first: before the first wait. */
static bool enter_reader(struct bulkdump_guard *guard, bool first)
{
	lockdep_assert_held(&guard->lock);
	if (!guard->writing) {
		guard->readers++;
		trace_guard_read_enter(guard);
		return true;
	}
	if (first)
		trace_guard_read_wait(guard);
	return false;
}

static bool enter_writer(struct bulkdump_guard *guard, bool first)
{
	lockdep_assert_held(&guard->lock);
	if (!guard->writing && !guard->readers) {
		guard->writing = true;
		trace_guard_write_enter(guard);
		return true;
	}
	if (first)
		trace_guard_write_wait(guard);
	return false;
}

static bool try_enter(struct bulkdump_guard *guard, bool first,
		      bool (*enter)(struct bulkdump_guard *guard, bool first))
{
	bool entered;

	spin_lock(&guard->lock);
	entered = enter(guard, first);
	spin_unlock(&guard->lock);
	return entered;
}

static int enter_killable(struct bulkdump_guard *guard,
			  bool (*enter)(struct bulkdump_guard *guard, bool first))
{
	if (try_enter(guard, true, enter))
		return 0;
	return wait_event_killable(guard->wait,
				   try_enter(guard, false, enter)) ? -EINTR : 0;
}

int bulkdump_read_begin(struct bulkdump_guard *guard)
{
	return grab ? enter_killable(guard, enter_reader) : 0;
}

void bulkdump_read_end(struct bulkdump_guard *guard)
{
	bool last;

	if (!grab)
		return;
	spin_lock(&guard->lock);
	last = !--guard->readers;
	trace_guard_read_exit(guard);
	spin_unlock(&guard->lock);
	if (last)
		wake_up_all(&guard->wait);
}

int bulkdump_write_begin(struct bulkdump_guard *guard)
{
	return grab ? enter_killable(guard, enter_writer) : 0;
}

void bulkdump_write_end(struct bulkdump_guard *guard)
{
	if (!grab)
		return;
	spin_lock(&guard->lock);
	guard->writing = false;
	trace_guard_write_exit(guard);
	spin_unlock(&guard->lock);
	wake_up_all(&guard->wait);
}
