// SPDX-License-Identifier: BSD-3-Clause
/*
 * A reader of one dump that shares no code with package nldump: every-reader
 * PROTOCOL TYPE BUFFER REQUEST, with the buffer's size in bytes and the
 * request's payload in hexadecimal. It prints each record as the kernel sent
 * it, padded to four bytes and with sequence number and port id set to 0. Then
 * it prints one line about the dump to stderr. If a page is larger than the
 * buffer, it ends with status 3.
 */

#include <errno.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#ifndef NLM_F_DUMP_INTR
#define NLM_F_DUMP_INTR 0x10
#endif

static char page[1 << 20] __attribute__((aligned(8)));

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "every-reader: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* Sends a message whose payload is in hexadecimal. */
static void request(int fd, int type, int flags, const char *hex)
{
	static struct {
		struct nlmsghdr h;
		unsigned char payload[4096];
	} m;
	unsigned int n = strlen(hex) / 2;

	if (n > sizeof(m.payload))
		die("request");
	for (unsigned int i = 0; i < n; i++)
		if (sscanf(hex + 2 * i, "%2hhx", &m.payload[i]) != 1)
			die("request");
	m.h.nlmsg_len = NLMSG_LENGTH(n);
	m.h.nlmsg_type = type;
	m.h.nlmsg_flags = NLM_F_REQUEST | flags;
	m.h.nlmsg_seq = 1;
	if (send(fd, &m, m.h.nlmsg_len, 0) < 0)
		die("send");
}

int main(int argc, char **argv)
{
	unsigned long records = 0, pages = 0, multi = 0, intr = 0, empty = 0;
	struct timeval patience = { .tv_sec = 60 };
	struct sockaddr_nl addr = {};
	socklen_t len = sizeof(addr);
	int fd, one = 1, error = 1; /* the dump is not over yet */
	int seq = 1, port = 1; /* so far, each message has that of the request */
	unsigned int size;

	if (argc != 5)
		die("usage: every-reader PROTOCOL TYPE BUFFER REQUEST");
	size = atoi(argv[3]);
	if (size > sizeof(page))
		die("buffer");
	fd = socket(AF_NETLINK, SOCK_RAW, atoi(argv[1]));
	if (fd < 0)
		die("socket");
	setsockopt(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &one, sizeof(one));
	addr.nl_family = AF_NETLINK;
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) ||
	    getsockname(fd, (struct sockaddr *)&addr, &len) ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)))
		die("bind");

	/*
	 * The kernel makes its first page as large as the buffer of an earlier
	 * read.
	 */
	request(fd, NLMSG_NOOP, NLM_F_ACK, "");
	recv(fd, page, size, MSG_DONTWAIT);

	request(fd, atoi(argv[2]), NLM_F_DUMP, argv[4]);
	while (error > 0) {
		int n = recv(fd, page, size, MSG_TRUNC);
		unsigned long before = records;
		struct nlmsghdr *h;

		if (n < 0)
			die("recv");
		if (n > (int)size)
			return 3;
		empty += n == 0;
		for (h = (void *)page; error > 0 && NLMSG_OK(h, n); h = NLMSG_NEXT(h, n)) {
			intr |= !!(h->nlmsg_flags & NLM_F_DUMP_INTR);
			seq &= h->nlmsg_seq == 1;
			port &= h->nlmsg_pid == addr.nl_pid;
			h->nlmsg_seq = 0;
			h->nlmsg_pid = 0;
			if (h->nlmsg_type == NLMSG_DONE || h->nlmsg_type == NLMSG_ERROR) {
				error = h->nlmsg_len > NLMSG_LENGTH(0) ? *(int *)NLMSG_DATA(h) : 0;
			} else {
				records++;
				multi += !!(h->nlmsg_flags & NLM_F_MULTI);
				fwrite(h, 1, NLMSG_ALIGN(h->nlmsg_len), stdout);
			}
		}
		pages += records > before;
	}
	if (fflush(stdout))
		die("write");
	fprintf(stderr, "%lu %lu %lu %lu %lu %d %d %d\n", records, pages, multi, intr, empty,
		-error, seq, port);
	return 0;
}
