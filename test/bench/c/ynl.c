// SPDX-License-Identifier: BSD-3-Clause
/*
 * A reader on the kernel's own library, with the code that its generator makes
 * from the family's spec: bench-ynl FAMILY REQUEST CHECK. The library looks up
 * the family and writes the request itself. It returns a list of all entries,
 * after the dump.
 */

#include <stddef.h>

#include "bulkdump-user.h"
#include "ynl.h"

#include "bench.h"

static void dump(struct sink *s, int family, const char *request)
{
	struct bulkdump_entry_get_req_dump *req;
	struct bulkdump_entry_get_rsp_list *list;
	struct ynl_error error;
	struct ynl_sock *ys;

	(void)family;
	(void)request;
	ys = ynl_sock_create(&ynl_bulkdump_family, &error);
	if (!ys) {
		fprintf(stderr, "ynl_sock_create: %s\n", error.msg);
		exit(1);
	}
	req = bulkdump_entry_get_req_dump_alloc();
	bulkdump_entry_get_req_dump_set_fields(req, BULKDUMP_FIELD_NAME | BULKDUMP_FIELD_FLAGS |
						    BULKDUMP_FIELD_VALUE | BULKDUMP_FIELD_GENERATION);
	list = bulkdump_entry_get_dump(ys, req);
	bulkdump_entry_get_req_dump_free(req);
	if (!list) {
		fprintf(stderr, "entry-get: %s\n", ys->err.msg);
		exit(1);
	}
	ynl_dump_foreach(list, e) {
		struct record r = {
			.id = e->id, .flags = e->flags, .value = e->value,
			.generation = e->generation,
			.name = e->name, .name_len = e->_len.name,
		};

		sink_add(s, &r);
	}
	bulkdump_entry_get_rsp_list_free(list);
	ynl_sock_destroy(ys);
}

int main(int argc, char **argv)
{
	return run_reader(argc, argv, dump);
}
