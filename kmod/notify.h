/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The events of the multicast group "entries". They are sent after the change
 * is visible and under table->lock, so they come in order of generation. If
 * there is no memory for an event, the next read of each listener fails with
 * ENOBUFS, which says that it lost one.
 */
#ifndef BULKDUMP_NOTIFY_H
#define BULKDUMP_NOTIFY_H

#include <net/genetlink.h>

#include "synthetic.h"

void bulkdump_notify_entry(struct genl_info *info, u8 cmd,
			   const struct bulkdump_entry *e);
void bulkdump_notify_del(struct genl_info *info, u32 id, u64 generation);
void bulkdump_notify_synthetic(struct genl_info *info,
			       const struct bulkdump_synthetic *synthetic);
void bulkdump_notify_flush(struct genl_info *info, u32 count, u64 generation);

#endif /* BULKDUMP_NOTIFY_H */
