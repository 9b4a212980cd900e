/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BENCH_CACHE_H
#define BENCH_CACHE_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/*
 * A cache of lines of 64 bytes. A full set forgets the line that was not used for
 * longest. Nothing is fetched ahead.
 */
struct cache {
	unsigned int ways;
	unsigned int sets; /* a power of two */
	uint64_t *lines; /* of each set in turn, the last used first; line + 1, or 0 */
};

enum { CACHE_LINE_SHIFT = 6 };

/* Returns whether the line was there. From now on it is. */
static inline bool cache_has(struct cache *c, uint64_t line)
{
	uint64_t *set = c->lines + (line & (c->sets - 1)) * c->ways;
	bool hit = true;
	unsigned int i;

	for (i = 0; set[i] != line + 1; i++) {
		if (i == c->ways - 1) {
			hit = false;
			break;
		}
	}
	memmove(set + 1, set, i * sizeof(*set));
	set[0] = line + 1;
	return hit;
}

#endif
