// SPDX-License-Identifier: BSD-3-Clause
/*
 * A QEMU plugin that counts how often each block of code is executed, and what it
 * reads and writes that is in no cache: -plugin file=count.so,mark=ADDRESS,out=PREFIX.
 * The mark is the address of the guest's getppid(), which the bench's readers call at
 * their start and at their end. Each time the guest reaches it, the plugin writes the
 * counts to PREFIX0, PREFIX1, … and starts again at zero. A line of a file is a block:
 * its address, its number of instructions, how often it was executed, how many of its
 * accesses missed the first cache, and how many of those missed the second, too.
 *
 * The caches are for data only, of one processor, and hold nothing at the first mark.
 *
 * The declarations that it needs from qemu-plugin.h are repeated here, because
 * Debian has no package with that file.
 */

#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cache.h"

typedef uint64_t qemu_plugin_id_t;
typedef uint32_t qemu_plugin_meminfo_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
struct qemu_plugin_hwaddr;

enum { QEMU_PLUGIN_CB_NO_REGS };
enum { QEMU_PLUGIN_MEM_RW = 3 };

void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id,
					   void (*cb)(qemu_plugin_id_t id,
						      struct qemu_plugin_tb *tb));
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *tb,
					  void (*cb)(unsigned int cpu, void *data),
					  int flags, void *data);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb,
						 size_t i);
void qemu_plugin_register_vcpu_mem_cb(struct qemu_plugin_insn *insn,
				      void (*cb)(unsigned int cpu,
						 qemu_plugin_meminfo_t info,
						 uint64_t address, void *data),
				      int flags, int rw, void *data);
struct qemu_plugin_hwaddr *qemu_plugin_get_hwaddr(qemu_plugin_meminfo_t info,
						  uint64_t address);
bool qemu_plugin_hwaddr_is_io(const struct qemu_plugin_hwaddr *at);
uint64_t qemu_plugin_hwaddr_phys_addr(const struct qemu_plugin_hwaddr *at);

#define EXPORT __attribute__((visibility("default")))

EXPORT int qemu_plugin_version = 4;

struct block {
	uint64_t address;
	uint64_t instructions;
	uint64_t times;
	uint64_t missed[2];
	struct block *next;
};

/* 32 KiB and 1 MiB, as in a server's processor of these years. */
static uint64_t lines[2][16384];
static struct cache caches[] = {
	{ .ways = 8, .sets = 64, .lines = lines[0] },
	{ .ways = 16, .sets = 1024, .lines = lines[1] },
};

static struct block *blocks;
static uint64_t mark;
static const char *out;
static int marks;

static void on_mark(unsigned int cpu, void *data)
{
	char name[4096];
	struct block *b;
	FILE *f;

	(void)cpu;
	(void)data;
	snprintf(name, sizeof(name), "%s%d", out, marks++);
	f = fopen(name, "w");
	if (!f) {
		perror(name);
		exit(1);
	}
	for (b = blocks; b; b = b->next) {
		if (b->times)
			fprintf(f, "%" PRIx64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n",
				b->address, b->instructions, b->times,
				b->missed[0], b->missed[1]);
		b->times = b->missed[0] = b->missed[1] = 0;
	}
	fclose(f);
}

static void on_block(unsigned int cpu, void *data)
{
	struct block *b = data;

	(void)cpu;
	b->times++;
}

static void on_access(unsigned int cpu, qemu_plugin_meminfo_t info,
		      uint64_t address, void *data)
{
	const struct qemu_plugin_hwaddr *at;
	struct block *b = data;
	uint64_t line;
	int i;

	(void)cpu;
	if (!marks)
		return;
	at = qemu_plugin_get_hwaddr(info, address);
	if (!at || qemu_plugin_hwaddr_is_io(at))
		return;
	line = qemu_plugin_hwaddr_phys_addr(at) >> CACHE_LINE_SHIFT;
	for (i = 0; i < 2 && !cache_has(&caches[i], line); i++)
		b->missed[i]++;
}

/* A block that is translated again gets another entry. */
static void on_translate(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
	struct block *b = calloc(1, sizeof(*b));
	uint64_t i;

	(void)id;
	if (!b)
		abort();
	b->address = qemu_plugin_tb_vaddr(tb);
	b->instructions = qemu_plugin_tb_n_insns(tb);
	b->next = blocks;
	blocks = b;
	if (b->address == mark)
		qemu_plugin_register_vcpu_tb_exec_cb(tb, on_mark, QEMU_PLUGIN_CB_NO_REGS, NULL);
	qemu_plugin_register_vcpu_tb_exec_cb(tb, on_block, QEMU_PLUGIN_CB_NO_REGS, b);
	for (i = 0; i < b->instructions; i++)
		qemu_plugin_register_vcpu_mem_cb(qemu_plugin_tb_get_insn(tb, i), on_access,
						 QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_MEM_RW, b);
}

EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc,
			       char **argv)
{
	int i;

	(void)info;
	for (i = 0; i < argc; i++) {
		if (!strncmp(argv[i], "mark=", 5))
			mark = strtoull(argv[i] + 5, NULL, 16);
		else if (!strncmp(argv[i], "out=", 4))
			out = strdup(argv[i] + 4);
	}
	if (!mark || !out) {
		fprintf(stderr, "count: mark=ADDRESS and out=PREFIX are needed\n");
		return -1;
	}
	qemu_plugin_register_vcpu_tb_trans_cb(id, on_translate);
	return 0;
}
