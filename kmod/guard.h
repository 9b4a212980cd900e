/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Who may read and write the table, and when: chosen by the module parameter
 * guard when the module is loaded.
 *
 * rcu: readers never wait, and may see a change half made.
 *
 * grab: the scheme of the kernel's own table of netlink sockets
 * (net/netlink/af_netlink.c:netlink_table_grab). Readers are counted, a writer
 * waits for the count to be zero and then has the table for itself. A writer
 * that waits keeps no reader out, so a reader may come in again while it holds
 * the table already, and writers may starve.
 *
 * With either, a reader holds rcu_read_lock() while it looks at entries, and
 * writers hold table->lock against each other.
 */
#ifndef BULKDUMP_GUARD_H
#define BULKDUMP_GUARD_H

#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/wait.h>

/**
 * struct bulkdump_guard - the state of a grab guard
 * @lock: protects @readers and @writing
 * @readers: how many are in
 * @writing: the writer is in
 * @wait: of whoever waits to get in
 */
struct bulkdump_guard {
	spinlock_t lock;	/* of the two below */
	unsigned int readers;
	bool writing;
	wait_queue_head_t wait;
};

void bulkdump_guard_init(struct bulkdump_guard *guard);

/* Around a page. May sleep; -EINTR if the task was killed as it waited. */
int bulkdump_read_begin(struct bulkdump_guard *guard);
void bulkdump_read_end(struct bulkdump_guard *guard);

/* Around a change, under table->lock. As above. */
int bulkdump_write_begin(struct bulkdump_guard *guard);
void bulkdump_write_end(struct bulkdump_guard *guard);

int bulkdump_guard_check(void);

#endif /* BULKDUMP_GUARD_H */
