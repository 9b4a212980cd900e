/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the readers in C share: the request that they get, the fields that they
 * decode, and the line of JSON in which they report their result.
 */
#ifndef BENCH_H
#define BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* From kmod/uapi/linux/bulkdump.h, which a fresh machine does not have. */
enum {
	ENTRY_ID = 1, ENTRY_NAME, ENTRY_FLAGS, ENTRY_VALUE,
	ENTRY_GENERATION = 7, ENTRY_COLUMNS = 15, ENTRY_MAX = 15,
};

enum {
	COLUMNS_ID = 1, COLUMNS_NAME_END = 3, COLUMNS_NAMES, COLUMNS_FLAGS,
	COLUMNS_VALUE, COLUMNS_GENERATION = 13, COLUMNS_MAX = 13,
};

struct record {
	uint32_t id;
	uint32_t flags;
	uint64_t value;
	uint64_t generation;
	const char *name;
	uint32_t name_len;
};

/* What is done with each record: the same as in the readers in Go. */
struct sink {
	uint64_t records;
	uint64_t sum;
	uint64_t checksum;
	bool check;
};

static inline uint64_t fnv(uint64_t hash, const void *data, size_t len)
{
	const uint8_t *p = data;

	while (len--)
		hash = (hash ^ *p++) * 0x100000001b3ULL;
	return hash;
}

/* The same hash as client.Checksum, with an empty payload. */
static __attribute__((noinline)) uint64_t entry_hash(const struct record *r)
{
	uint64_t hash = 0xcbf29ce484222325ULL;
	uint8_t name_len = r->name_len;
	uint32_t payload_len = 0;

	hash = fnv(hash, &r->id, sizeof(r->id));
	hash = fnv(hash, &name_len, sizeof(name_len));
	hash = fnv(hash, r->name, name_len);
	hash = fnv(hash, &r->flags, sizeof(r->flags));
	hash = fnv(hash, &r->value, sizeof(r->value));
	return fnv(hash, &payload_len, sizeof(payload_len));
}

static inline void sink_add(struct sink *s, const struct record *r)
{
	s->records++;
	s->sum += (uint64_t)r->id + r->flags + r->value + r->generation + r->name_len;
	if (s->check)
		s->checksum += entry_hash(r);
}

/* Decodes the request (without the netlink header) from hexadecimal. */
static inline size_t unhex(const char *hex, uint8_t *to, size_t max)
{
	size_t n = 0;

	for (; hex[0] && hex[1] && n < max; hex += 2) {
		char byte[3] = { hex[0], hex[1], 0 };

		to[n++] = strtoul(byte, NULL, 16);
	}
	return n;
}

/*
 * Returns the clock in ns. One ns is one instruction. The system call before it
 * is the mark at which the trace of system calls is cut.
 */
static inline uint64_t mark(void)
{
	struct timespec t;

	getppid();
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

static inline uint64_t mark_end(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	getppid();
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

/* Reads a size from a file of /proc, in KiB. */
static inline unsigned long proc_size(const char *file, const char *format)
{
	FILE *f = fopen(file, "r");
	unsigned long kib = 0;
	char line[256];

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, format, &kib) == 1)
			break;
	if (f)
		fclose(f);
	return kib;
}

/*
 * Returns the peak size of this process, in KiB. The kernel updates VmHWM in
 * steps of some pages, so it may be less than the current size.
 */
static inline unsigned long peak_rss(void)
{
	unsigned long peak = proc_size("/proc/self/status", "VmHWM: %lu");
	unsigned long now = proc_size("/proc/self/smaps_rollup", "Rss: %lu");

	return now > peak ? now : peak;
}

static inline void tell(const struct sink *s, uint64_t ns)
{
	printf("{\"instructions\":%llu,\"records\":%llu,\"sum\":%llu,"
	       "\"checksum\":\"0x%016llx\",\"peak_rss\":%lu}\n",
	       (unsigned long long)ns, (unsigned long long)s->records,
	       (unsigned long long)s->sum, (unsigned long long)s->checksum,
	       peak_rss() * 1024);
}

/* A whole program that reads a dump: NAME FAMILY REQUEST CHECK. */
static inline int run_reader(int argc, char **argv,
			     void (*dump)(struct sink *s, int family,
					  const char *request))
{
	struct sink s = {};
	uint64_t start;

	if (argc != 4) {
		fprintf(stderr, "usage: %s FAMILY REQUEST CHECK\n", argv[0]);
		return 2;
	}
	s.check = atoi(argv[3]);
	start = mark();
	dump(&s, atoi(argv[1]), argv[2]);
	tell(&s, mark_end() - start);
	return 0;
}

#define die(what) do { perror(what); exit(1); } while (0)

#endif
