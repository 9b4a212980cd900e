/* SPDX-License-Identifier: GPL-2.0-only */
/* /proc/net/bulkdump: the table as text. */
#ifndef BULKDUMP_PROC_H
#define BULKDUMP_PROC_H

struct net;

int bulkdump_proc_create(struct net *net);
void bulkdump_proc_remove(struct net *net);

#endif /* BULKDUMP_PROC_H */
