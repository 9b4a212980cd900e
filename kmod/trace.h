/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Trace events: /sys/kernel/tracing/events/bulkdump. The namespace, the port id of
 * the socket and the sequence number of the request identify a dump.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM bulkdump

#if !defined(BULKDUMP_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define BULKDUMP_TRACE_H

#include <linux/tracepoint.h>
#include <net/sock.h>

#include "dump.h"
#include "guard.h"
#include "table.h"

TRACE_EVENT(dump_start,
	TP_PROTO(const struct bulkdump_table *table,
		 const struct netlink_callback *cb, int err),
	TP_ARGS(table, cb, err),
	TP_STRUCT__entry(
		__field(u32, netns)
		__field(u32, portid)
		__field(u32, seq)
		__field(u32, min_alloc)
		__field(int, err)
	),
	TP_fast_assign(
		__entry->netns = table->netns;
		__entry->portid = NETLINK_CB(cb->skb).portid;
		__entry->seq = cb->nlh->nlmsg_seq;
		__entry->min_alloc = cb->min_dump_alloc;
		__entry->err = err;
	),
	TP_printk("netns=%u portid=%u seq=%u min_alloc=%u err=%d",
		  __entry->netns, __entry->portid, __entry->seq,
		  __entry->min_alloc, __entry->err)
);

TRACE_EVENT(dump_page,
	TP_PROTO(const struct bulkdump_page *page, int ret),
	TP_ARGS(page, ret),
	TP_STRUCT__entry(
		__field(u32, netns)
		__field(u32, portid)
		__field(u32, seq)
		__field(u32, records)
		__field(u32, bytes)
		__field(u32, room)
		__field(u64, scanned)
		__field(u64, place)
		__field(u32, rmem)
		__field(u32, rcvbuf)
		__field(int, ret)
	),
	TP_fast_assign(
		const struct sock *sk = page->skb->sk;

		__entry->netns = page->table->netns;
		__entry->portid = NETLINK_CB(page->cb->skb).portid;
		__entry->seq = page->cb->nlh->nlmsg_seq;
		__entry->records = page->records;
		__entry->bytes = page->skb->len;
		__entry->room = page->room;
		__entry->scanned = page->scanned;
		__entry->place = bulkdump_ctx(page->cb)->next;
		__entry->rmem = atomic_read(&sk->sk_rmem_alloc);
		__entry->rcvbuf = READ_ONCE(sk->sk_rcvbuf);
		__entry->ret = ret;
	),
	TP_printk("netns=%u portid=%u seq=%u records=%u bytes=%u room=%u scanned=%llu place=%llu rmem=%u rcvbuf=%u ret=%d",
		  __entry->netns, __entry->portid, __entry->seq,
		  __entry->records, __entry->bytes, __entry->room,
		  __entry->scanned, __entry->place, __entry->rmem,
		  __entry->rcvbuf, __entry->ret)
);

TRACE_EVENT(dump_done,
	TP_PROTO(const struct bulkdump_table *table,
		 const struct netlink_callback *cb, bool abandoned),
	TP_ARGS(table, cb, abandoned),
	TP_STRUCT__entry(
		__field(u32, netns)
		__field(u32, portid)
		__field(u32, seq)
		__field(bool, abandoned)
	),
	TP_fast_assign(
		__entry->netns = table->netns;
		__entry->portid = NETLINK_CB(cb->skb).portid;
		__entry->seq = cb->nlh->nlmsg_seq;
		__entry->abandoned = abandoned;
	),
	TP_printk("netns=%u portid=%u seq=%u abandoned=%d",
		  __entry->netns, __entry->portid, __entry->seq,
		  __entry->abandoned)
);

/* Without these, user space sees the names and not the numbers. */
TRACE_DEFINE_ENUM(BULKDUMP_CMD_ENTRY_NEW);
TRACE_DEFINE_ENUM(BULKDUMP_CMD_ENTRY_SET);
TRACE_DEFINE_ENUM(BULKDUMP_CMD_ENTRY_DEL);
TRACE_DEFINE_ENUM(BULKDUMP_CMD_TABLE_FILL);
TRACE_DEFINE_ENUM(BULKDUMP_CMD_TABLE_FLUSH);

TRACE_EVENT(table_change,
	TP_PROTO(const struct bulkdump_table *table, int cmd, u32 id,
		 u64 generation),
	TP_ARGS(table, cmd, id, generation),
	TP_STRUCT__entry(
		__field(u32, netns)
		__field(int, cmd)
		__field(u32, id)
		__field(u64, generation)
	),
	TP_fast_assign(
		__entry->netns = table->netns;
		__entry->cmd = cmd;
		__entry->id = id;
		__entry->generation = generation;
	),
	TP_printk("netns=%u change=%s id=%u generation=%llu", __entry->netns,
		  __print_symbolic(__entry->cmd,
				   { BULKDUMP_CMD_ENTRY_NEW, "new" },
				   { BULKDUMP_CMD_ENTRY_SET, "set" },
				   { BULKDUMP_CMD_ENTRY_DEL, "del" },
				   { BULKDUMP_CMD_TABLE_FILL, "fill" },
				   { BULKDUMP_CMD_TABLE_FLUSH, "flush" }),
		  __entry->id, __entry->generation)
);

DECLARE_EVENT_CLASS(guard,
	TP_PROTO(const struct bulkdump_guard *guard),
	TP_ARGS(guard),
	TP_STRUCT__entry(
		__field(unsigned int, readers)
		__field(bool, writing)
	),
	TP_fast_assign(
		__entry->readers = guard->readers;
		__entry->writing = guard->writing;
	),
	TP_printk("readers=%u writing=%d", __entry->readers, __entry->writing)
);

#define GUARD_EVENT(name)						\
	DEFINE_EVENT(guard, name,					\
		TP_PROTO(const struct bulkdump_guard *guard),		\
		TP_ARGS(guard))

GUARD_EVENT(guard_read_wait);
GUARD_EVENT(guard_read_enter);
GUARD_EVENT(guard_read_exit);
GUARD_EVENT(guard_write_wait);
GUARD_EVENT(guard_write_enter);
GUARD_EVENT(guard_write_exit);

#endif /* BULKDUMP_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
