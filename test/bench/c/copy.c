// SPDX-License-Identifier: BSD-3-Clause
/*
 * The floor: bench-copy FILE RECORDS reads a file from memory in reads of 32
 * KiB, the largest size of a dump's page. It does not look at the bytes.
 */

#include <fcntl.h>

#include "bench.h"

static char page[32 << 10];

int main(int argc, char **argv)
{
	struct sink s = {};
	uint64_t start;
	ssize_t len;
	int fd;

	if (argc != 3) {
		fprintf(stderr, "usage: bench-copy FILE RECORDS\n");
		return 2;
	}
	start = mark();
	fd = open(argv[1], O_RDONLY);
	if (fd < 0)
		die(argv[1]);
	do {
		len = read(fd, page, sizeof(page));
		if (len < 0)
			die("read");
	} while (len > 0);
	close(fd);
	s.records = strtoull(argv[2], NULL, 10);
	tell(&s, mark_end() - start);
	return 0;
}
