/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Who waits for whom at the table. The module parameter guard chooses one of:
 *
 * rcu: readers never wait, and may see half of a change.
 *
 * grab: the scheme of the kernel's own table of netlink sockets
 * (net/netlink/af_netlink.c:netlink_table_grab). Readers are counted. A writer
 * waits until the count is zero, and then has the table to itself. A waiting
 * writer does not keep readers out. So a reader may enter twice, and writers may
 * starve.
 *
 * Either way, a reader holds rcu_read_lock() while it looks at entries, and
 * table->lock keeps writers apart.
 */
#ifndef BULKDUMP_GUARD_H
#define BULKDUMP_GUARD_H

#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/wait.h>

/**
 * struct bulkdump_guard - the state of a grab guard
 * @lock: protects @readers and @writing
 * @readers: how many readers are in
 * @writing: the writer is in
 * @wait: readers and writers that wait to get in
 */
struct bulkdump_guard {
	spinlock_t lock;	/* protects the two below */
	unsigned int readers;
	bool writing;
	wait_queue_head_t wait;
};

void bulkdump_guard_init(struct bulkdump_guard *guard);

/* Around a page. May sleep. Returns -EINTR if the task is killed meanwhile. */
int bulkdump_read_begin(struct bulkdump_guard *guard);
void bulkdump_read_end(struct bulkdump_guard *guard);

/* The same around a change, under table->lock. */
int bulkdump_write_begin(struct bulkdump_guard *guard);
void bulkdump_write_end(struct bulkdump_guard *guard);

int bulkdump_guard_check(void);

#endif /* BULKDUMP_GUARD_H */
