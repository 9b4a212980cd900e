// SPDX-License-Identifier: GPL-2.0-only
/*
 * /proc/net/bulkdump: what one did before netlink, one line an entry. It has no
 * filter and no types, and nothing tells of a change, but cat can read it.
 */

#include <linux/proc_fs.h>
#include <linux/seq_file.h>
#include <linux/seq_file_net.h>

#include "netns.h"

/*
 * The position is the next id + 1; 0 is the header. It is a key, as in a dump, so
 * entries that come and go between two reads do not shift it.
 */
static void *proc_find(struct seq_file *seq, loff_t *pos)
{
	struct bulkdump_table *table = bulkdump_table(seq_file_net(seq));
	struct bulkdump_entry *e;
	unsigned long id = *pos - 1;

	if (*pos > (loff_t)U32_MAX + 1)
		return NULL;
	e = xa_find(&table->entries, &id, U32_MAX, XA_PRESENT);
	if (e)
		*pos = (loff_t)id + 1;
	return e;
}

static void *proc_start(struct seq_file *seq, loff_t *pos)
	__acquires(RCU)
{
	struct bulkdump_table *table = bulkdump_table(seq_file_net(seq));
	int err = bulkdump_read_begin(&table->guard);

	rcu_read_lock();
	if (err)
		return ERR_PTR(err);
	return *pos ? proc_find(seq, pos) : SEQ_START_TOKEN;
}

static void *proc_next(struct seq_file *seq, void *v, loff_t *pos)
{
	++*pos;
	return proc_find(seq, pos);
}

/* Called after every start, also after one that failed. */
static void proc_stop(struct seq_file *seq, void *v)
	__releases(RCU)
{
	struct bulkdump_table *table = bulkdump_table(seq_file_net(seq));

	rcu_read_unlock();
	if (!IS_ERR(v))
		bulkdump_read_end(&table->guard);
}

static int proc_show(struct seq_file *seq, void *v)
{
	const struct bulkdump_entry *e = v;

	if (v == SEQ_START_TOKEN) {
		seq_puts(seq, "id flags value generation payload name\n");
		return 0;
	}
	seq_printf(seq, "%u 0x%x %llu %llu %u ", e->id, e->flags, e->value,
		   e->generation, e->payload_len);
	seq_escape(seq, e->data, "\\ \t\n");
	seq_putc(seq, '\n');
	return 0;
}

static const struct seq_operations proc_ops = {
	.start	= proc_start,
	.next	= proc_next,
	.stop	= proc_stop,
	.show	= proc_show,
};

int bulkdump_proc_create(struct net *net)
{
	if (!proc_create_net("bulkdump", 0444, net->proc_net, &proc_ops,
			     sizeof(struct seq_net_private)))
		return -ENOMEM;
	return 0;
}

void bulkdump_proc_remove(struct net *net)
{
	remove_proc_entry("bulkdump", net->proc_net);
}
