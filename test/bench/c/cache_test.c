// SPDX-License-Identifier: BSD-3-Clause
/* Exits with the line of the first check that fails, or 0. */

#include "cache.h"

#define CHECK(is)		do { if (!(is)) return __LINE__; } while (0)

int main(void)
{
	uint64_t lines[4] = { 0 };
	struct cache c = { .ways = 2, .sets = 2, .lines = lines };

	CHECK(!cache_has(&c, 0));
	CHECK(cache_has(&c, 0));
	CHECK(!cache_has(&c, 1)); /* the other set */
	CHECK(!cache_has(&c, 2));
	CHECK(cache_has(&c, 0)); /* both are in one set; now 2 is the older one */
	CHECK(!cache_has(&c, 4));
	CHECK(cache_has(&c, 0));
	CHECK(cache_has(&c, 4));
	CHECK(!cache_has(&c, 2));
	CHECK(!cache_has(&c, 0));
	CHECK(cache_has(&c, 1));
	return 0;
}
