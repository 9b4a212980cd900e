// SPDX-License-Identifier: BSD-3-Clause
/*
 * A reader without a library: bench-raw FAMILY REQUEST CHECK. It checks
 * everything that a reader must check (lengths, sender, sequence, INTR, the
 * errno in DONE), decodes plain, direct and columns, and keeps nothing.
 */

#include <errno.h>
#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <sys/socket.h>

#include "bench.h"

#define SEQ 1

static char page[64 << 10] __attribute__((aligned(8)));

static void bad(const char *what)
{
	fprintf(stderr, "bench-raw: %s\n", what);
	exit(1);
}

static inline uint64_t get_uint(const struct nlattr *a)
{
	uint64_t wide;
	uint32_t narrow;

	if (a->nla_len == NLA_HDRLEN + sizeof(narrow)) {
		memcpy(&narrow, a + 1, sizeof(narrow));
		return narrow;
	}
	if (a->nla_len != NLA_HDRLEN + sizeof(wide))
		bad("a number is neither of 4 nor of 8 bytes");
	memcpy(&wide, a + 1, sizeof(wide));
	return wide;
}

static inline uint32_t get_u32(const struct nlattr *a)
{
	if (a->nla_len != NLA_HDRLEN + sizeof(uint32_t))
		bad("a number is not of 4 bytes");
	return *(const uint32_t *)(a + 1);
}

/* Goes through all attributes from @at on. */
#define for_each_attr(a, at, end)					\
	for (a = (const void *)(at);					\
	     (const char *)(end) - (const char *)a >= NLA_HDRLEN &&	\
	     a->nla_len >= NLA_HDRLEN &&				\
	     a->nla_len <= (const char *)(end) - (const char *)a;	\
	     a = (const void *)((const char *)a + NLA_ALIGN(a->nla_len)))

/* The last attribute may lack its padding. */
#define check_end(a, end) do {						\
	if ((const char *)a < (const char *)(end))			\
		bad("an attribute of a wrong length");			\
} while (0)

static inline const void *column(const struct nlattr *a, uint32_t rows, int width)
{
	if (!a || a->nla_len != NLA_HDRLEN + rows * width)
		bad("a column that is not as long as the ids");
	return a + 1;
}

static void read_columns(struct sink *s, const struct nlattr *nest)
{
	const char *end = (const char *)nest + nest->nla_len;
	const struct nlattr *tb[COLUMNS_MAX + 1] = {};
	const struct nlattr *a;
	const uint16_t *name_end;
	const uint32_t *id, *flags;
	const char *value, *generation;
	struct record r;
	uint32_t rows, i, from = 0, names;

	for_each_attr(a, nest + 1, end) {
		if ((a->nla_type & NLA_TYPE_MASK) <= COLUMNS_MAX)
			tb[a->nla_type & NLA_TYPE_MASK] = a;
	}
	check_end(a, end);
	if (!tb[COLUMNS_ID] || !tb[COLUMNS_NAMES])
		bad("no ids or no names");
	rows = (tb[COLUMNS_ID]->nla_len - NLA_HDRLEN) / sizeof(*id);
	id = column(tb[COLUMNS_ID], rows, sizeof(*id));
	flags = column(tb[COLUMNS_FLAGS], rows, sizeof(*flags));
	name_end = column(tb[COLUMNS_NAME_END], rows, sizeof(*name_end));
	value = column(tb[COLUMNS_VALUE], rows, sizeof(r.value));
	generation = column(tb[COLUMNS_GENERATION], rows, sizeof(r.generation));
	names = tb[COLUMNS_NAMES]->nla_len - NLA_HDRLEN;
	for (i = 0; i < rows; i++) {
		if (name_end[i] < from || name_end[i] > names)
			bad("a name ends before it begins, or behind the last one");
		r.id = id[i];
		r.flags = flags[i];
		memcpy(&r.value, value + i * sizeof(r.value), sizeof(r.value));
		memcpy(&r.generation, generation + i * sizeof(r.generation),
		       sizeof(r.generation));
		r.name = (const char *)(tb[COLUMNS_NAMES] + 1) + from;
		r.name_len = name_end[i] - from;
		from = name_end[i];
		sink_add(s, &r);
	}
}

static inline void read_record(struct sink *s, const struct nlmsghdr *h)
{
	const char *end = (const char *)h + h->nlmsg_len;
	const struct nlattr *a;
	struct record r = {};

	for_each_attr(a, (const char *)NLMSG_DATA(h) + GENL_HDRLEN, end) {
		switch (a->nla_type & NLA_TYPE_MASK) {
		case ENTRY_ID:
			r.id = get_u32(a);
			break;
		case ENTRY_NAME:
			r.name = (const char *)(a + 1);
			r.name_len = a->nla_len - NLA_HDRLEN - 1;
			break;
		case ENTRY_FLAGS:
			r.flags = get_u32(a);
			break;
		case ENTRY_VALUE:
			r.value = get_uint(a);
			break;
		case ENTRY_GENERATION:
			r.generation = get_uint(a);
			break;
		case ENTRY_COLUMNS:
			read_columns(s, a);
			return;
		}
	}
	check_end(a, end);
	sink_add(s, &r);
}

/* Returns false after the end of the dump. */
static bool read_page(struct sink *s, int len, int family)
{
	struct nlmsghdr *h;

	for (h = (void *)page; NLMSG_OK(h, len); h = NLMSG_NEXT(h, len)) {
		if (h->nlmsg_seq != SEQ)
			bad("an answer to another request");
		if (h->nlmsg_flags & NLM_F_DUMP_INTR)
			bad("the table changed meanwhile");
		if (h->nlmsg_type == NLMSG_DONE || h->nlmsg_type == NLMSG_ERROR) {
			errno = -*(int *)NLMSG_DATA(h);
			if (errno)
				die("the kernel");
			return false;
		}
		if (h->nlmsg_type != family || h->nlmsg_len < NLMSG_LENGTH(GENL_HDRLEN))
			bad("a record of another family");
		read_record(s, h);
	}
	if (len)
		bad("a message of a wrong length");
	return true;
}

static void request(int fd, int family, const char *hex)
{
	struct {
		struct nlmsghdr h;
		uint8_t body[256];
	} r = { .h = {
		.nlmsg_type = family,
		.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
		.nlmsg_seq = SEQ,
	} };

	r.h.nlmsg_len = NLMSG_LENGTH(unhex(hex, r.body, sizeof(r.body)));
	if (send(fd, &r, r.h.nlmsg_len, 0) < 0)
		die("send");
}

static void dump(struct sink *s, int family, const char *hex)
{
	struct sockaddr_nl from = { .nl_family = AF_NETLINK };
	struct iovec iov = { .iov_base = page, .iov_len = sizeof(page) };
	struct msghdr msg = {
		.msg_name = &from, .msg_namelen = sizeof(from),
		.msg_iov = &iov, .msg_iovlen = 1,
	};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC);
	ssize_t len;

	if (fd < 0 || bind(fd, (void *)&from, sizeof(from)) < 0)
		die("socket");
	request(fd, family, hex);
	do {
		len = recvmsg(fd, &msg, 0);
		if (len < 0)
			die("recvmsg");
		if (msg.msg_flags & MSG_TRUNC || from.nl_pid)
			bad("a page that is cut, or not the kernel's");
	} while (read_page(s, len, family));
	close(fd);
}

int main(int argc, char **argv)
{
	return run_reader(argc, argv, dump);
}
