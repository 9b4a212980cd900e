/* SPDX-License-Identifier: GPL-2.0-only */
/* The table of each network namespace. */
#ifndef BULKDUMP_NETNS_H
#define BULKDUMP_NETNS_H

#include "table.h"

struct bulkdump_table *bulkdump_table(struct net *net);
int bulkdump_netns_register(void);
void bulkdump_netns_unregister(void);

/* The file in /proc, which is for comparison (compare/proc.c). */
int bulkdump_proc_create(struct net *net);
void bulkdump_proc_remove(struct net *net);

#endif /* BULKDUMP_NETNS_H */
