// SPDX-License-Identifier: GPL-2.0-only
/* A table lives as long as its network namespace. */

#include <linux/sched.h>
#include <linux/slab.h>
#include <net/netns/generic.h>

#include "changelog.h"
#include "netns.h"

static unsigned int bulkdump_net_id;

struct bulkdump_table *bulkdump_table(struct net *net)
{
	return net_generic(net, bulkdump_net_id);
}

static int __net_init table_net_init(struct net *net)
{
	struct bulkdump_table *table = bulkdump_table(net);

	mutex_init(&table->lock);
	xa_init_flags(&table->entries, XA_FLAGS_ACCOUNT);
	bulkdump_changelog_init(table);
	INIT_LIST_HEAD(&table->order);
	spin_lock_init(&table->order_lock);
	bulkdump_guard_init(&table->guard);
	table->netns = net->ns.inum;
	/* A generation is never 0. */
	atomic64_set(&table->begun, 1);
	atomic64_set(&table->completed, 1);
	return bulkdump_proc_create(net);
}

/* No reader is left: a socket with its dump holds the namespace. */
static void __net_exit table_net_exit(struct net *net)
{
	struct bulkdump_table *table = bulkdump_table(net);
	struct bulkdump_entry *e;
	unsigned long id;

	/* Waits until nobody reads the file, also where it is still open. */
	bulkdump_proc_remove(net);
	bulkdump_changelog_clear(table);
	/* One by one: xa_destroy() would keep interrupts off for long. */
	xa_for_each(&table->entries, id, e) {
		xa_erase(&table->entries, id);
		kvfree(e);
		cond_resched();
	}
	/* What is left: nodes that an xa_reserve() made before it failed. */
	xa_destroy(&table->entries);
	kvfree(table->names);
}

static struct pernet_operations table_net_ops = {
	.init	= table_net_init,
	.exit	= table_net_exit,
	.id	= &bulkdump_net_id,
	.size	= sizeof(struct bulkdump_table),
};

int __init bulkdump_netns_register(void)
{
	return register_pernet_subsys(&table_net_ops);
}

void bulkdump_netns_unregister(void)
{
	unregister_pernet_subsys(&table_net_ops);
}
