// SPDX-License-Identifier: BSD-3-Clause
/*
 * A QEMU plugin that counts how often each block of code is executed: -plugin
 * file=count.so,mark=ADDRESS,out=PREFIX. The mark is the address of the guest's
 * getppid(), which the bench's readers call at their start and at their end.
 * Each time the guest reaches it, the plugin writes the counts to PREFIX0,
 * PREFIX1, … and starts again at zero. A line of a file is a block: its
 * address, its number of instructions, and how often it was executed.
 *
 * The declarations that it needs from qemu-plugin.h are repeated here, because
 * Debian has no package with that file.
 */

#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;

enum { QEMU_PLUGIN_CB_NO_REGS };

void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id,
					   void (*cb)(qemu_plugin_id_t id,
						      struct qemu_plugin_tb *tb));
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *tb,
					  void (*cb)(unsigned int cpu, void *data),
					  int flags, void *data);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *tb);

#define EXPORT __attribute__((visibility("default")))

EXPORT int qemu_plugin_version = 4;

struct block {
	uint64_t address;
	uint64_t instructions;
	uint64_t times;
	struct block *next;
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
			fprintf(f, "%" PRIx64 " %" PRIu64 " %" PRIu64 "\n",
				b->address, b->instructions, b->times);
		b->times = 0;
	}
	fclose(f);
}

static void on_block(unsigned int cpu, void *data)
{
	struct block *b = data;

	(void)cpu;
	b->times++;
}

/* A block that is translated again gets another entry. */
static void on_translate(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
	struct block *b = calloc(1, sizeof(*b));

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
