/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files of bulkdump_broken share: the table, and the pieces of a sound
 * dump, of which the bugs are made.
 */
#ifndef BROKEN_H
#define BROKEN_H

#include <linux/mutex.h>
#include <linux/xarray.h>
#include <net/genetlink.h>

#include "bulkdump_broken.h"

/* table.c */

/* The largest key, so that the key after it still fits in 32 bits. */
#define KEY_MAX (U32_MAX - 1)

/* Marks the objects that are there. One without it was removed just now. */
#define ALIVE XA_MARK_0

struct object {
	u32 id;
	u32 value;
	u32 events;
};

extern struct xarray objects;		/* id to object; under objects_lock */
extern struct mutex objects_lock;	/* writers, pages, and the generations */

/* Each rises before a change, and is never 0. */
extern u32 generation;
extern u32 generation_of_list;		/* INPLACE: not if a value changes */
extern u32 generation_of_two;		/* XOR: additions less removals */
extern unsigned long changed;		/* jiffies of the last change */

struct object *object_find(unsigned long id);
int object_put(u32 id, u32 value);
int object_remove(u32 id);

int objects_open(void);
void objects_close(void);

/* sound.c */

/* What a dump remembers between two pages. A sound one needs the first two. */
struct dump_ctx {
	unsigned long next;	/* the smallest id not sent yet */
	unsigned long last;	/* the largest id to send */
	unsigned long inner;	/* a number that a bug remembers */
	void *object;		/* an object, or memory */
	bool once;		/* the bug has shown */
};

static inline struct dump_ctx *dump_ctx(struct netlink_callback *cb)
{
	static_assert(sizeof(struct dump_ctx) <=
		      sizeof_field(struct netlink_callback, ctx));
	return (struct dump_ctx *)cb->ctx;
}

/* Puts the record of an object into the page: 0, or -EMSGSIZE if it is full. */
typedef int (*put_fn)(struct sk_buff *skb, struct netlink_callback *cb,
		      struct object *o);

bool visible(const struct netlink_callback *cb);
u8 dump_cmd(const struct netlink_callback *cb);
void *put_header(struct sk_buff *skb, struct netlink_callback *cb);
int put_fields(struct sk_buff *skb, const struct object *o);
int put_end(struct sk_buff *skb, struct netlink_callback *cb, void *hdr, int err);
int put_object(struct sk_buff *skb, struct netlink_callback *cb, struct object *o);
int put_with(struct sk_buff *skb, struct netlink_callback *cb, struct object *o,
	     int type, const void *data, int len);

int walk(struct sk_buff *skb, struct netlink_callback *cb, const u32 *seq,
	 unsigned long *next, put_fn put);
int page_end(const struct sk_buff *skb, int err);
int page_of(struct sk_buff *skb, struct netlink_callback *cb, const u32 *seq);
int page(struct sk_buff *skb, struct netlink_callback *cb, put_fn put);

const struct nlattr *dump_attr(const struct netlink_callback *cb, int type);
int sound_start(struct netlink_callback *cb);
int sound_dumpit(struct sk_buff *skb, struct netlink_callback *cb);

/* Puts the attributes of an object into the reply to a do. */
typedef int (*fill_fn)(struct sk_buff *skb, const struct object *o);

int reply_object(struct genl_info *info, size_t size, fill_fn fill);
int sound_doit(struct sk_buff *skb, struct genl_info *info);

extern const struct nla_policy id_policy[__BROKEN_A_MAX];
extern const struct nla_policy from_policy[__BROKEN_A_MAX];

/* held.c */

int lock_dumps(void);
void unlock_dumps(void);
void held_init(void);
void held_release(void);
void held_exit(void);

/* main.c */

extern struct genl_family broken_family;

/*
 * The commands of a file. A command without a policy refuses every attribute: the
 * core sees to that, from BROKEN_CMD_SOUND on.
 */
struct broken_ops {
	const struct genl_ops *ops;
	size_t count;
};

extern const struct broken_ops sound_ops, ends_ops, cursors_ops, held_ops,
	changes_ops, headers_ops, attributes_ops, requests_ops, rights_ops;

#define DUMP(_cmd, _start, _dumpit, ...) {				\
	.cmd	= BROKEN_CMD_##_cmd,					\
	.start	= _start,						\
	.dumpit	= _dumpit,						\
	##__VA_ARGS__							\
}

#define TAKES(_policy) .policy = (_policy), .maxattr = __BROKEN_A_MAX - 1

#endif /* BROKEN_H */
