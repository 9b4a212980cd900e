/* SPDX-License-Identifier: ((GPL-2.0 WITH Linux-syscall-note) OR BSD-3-Clause) */
/*
 * The commands of the family bulkdump_broken. Each is a dump with one bug, except
 * SOUND, NEW and DEL. The comment has the number of the rule that the bug breaks
 * (../rules/), and the bug. The file that has the command is named above it.
 */
#ifndef BULKDUMP_BROKEN_H
#define BULKDUMP_BROKEN_H

enum {
	/*
	 * Below BROKEN_CMD_SOUND, the core accepts unknown flags, and attributes that
	 * no policy has, as it does for the old commands of old families.
	 */
	BROKEN_CMD_JUNK = 1,	/* 11: no policy: any attribute is accepted */
	BROKEN_CMD_NEW,		/* no bug: makes an object, or changes its value */
	BROKEN_CMD_DEL,		/* no bug: removes an object */
	BROKEN_CMD_LAX,		/* 11: the exported policy is not all that is accepted */
	BROKEN_CMD_MUTE,	/* 11: any attribute is refused, and no text says why */

	BROKEN_CMD_SOUND,	/* no bug: a do, and a dump that takes an id as its filter */

	/* ends.c */
	BROKEN_CMD_CUT,		/* 1: a full page ends the dump as if it were whole */
	BROKEN_CMD_ERRNO,	/* 1: a full page ends the dump with an errno */
	BROKEN_CMD_LARGE,	/* 1: a record larger than a page: the rest is missing */
	BROKEN_CMD_ONE,		/* 1: a page ends after each record, full or not */
	BROKEN_CMD_EMPTY,	/* 2: an empty page in the middle */
	BROKEN_CMD_NONE,	/* 20: an empty table is an error */
	BROKEN_CMD_HALF,	/* 23: the record that did not fit is left in the page */
	BROKEN_CMD_DONE,	/* 27: a DONE of its own, before the core's */
	BROKEN_CMD_ALONE,	/* 27: DONE never shares the last record's page */

	/* cursors.c */
	BROKEN_CMD_LAST,	/* 3: the cursor is the last record: it is sent for ever */
	BROKEN_CMD_WRAP,	/* 3: the cursor wraps at the largest key */
	BROKEN_CMD_EARLY,	/* 3: the cursor moves before the record is complete */
	BROKEN_CMD_REPEAT,	/* 3: the cursor moves late: a page's last record comes again */
	BROKEN_CMD_INNER,	/* 3: the inner cursor is not reset for the next parent */
	BROKEN_CMD_STUCK,	/* 3: a parent whose children fill a page makes no progress */
	BROKEN_CMD_ORDER,	/* 3: each dump begins at another record */
	BROKEN_CMD_COUNT,	/* 4: the cursor is a count */
	BROKEN_CMD_UNTIL,	/* 4: it ends where the table is as large as a page before */
	BROKEN_CMD_SQUARE,	/* 4: each page walks from the first object */
	BROKEN_CMD_OBJECT,	/* 5: the cursor is an object: if it dies, the rest is missing */
	BROKEN_CMD_DEAD,	/* 30: an object that was removed is still sent */

	/* held.c */
	BROKEN_CMD_GLOBAL,	/* 7: the cursor is global */
	BROKEN_CMD_SCRATCH,	/* 7: the filter is global */
	BROKEN_CMD_LOCK,	/* 7: a lock is held from page to page */
	BROKEN_CMD_LEAK,	/* 7: an abandoned dump leaks its memory */
	BROKEN_CMD_HELD,	/* 7: an abandoned dump leaks a reference to the module */
	BROKEN_CMD_UNWIND,	/* 7: a start() that refuses a filter leaks its memory */

	/* changes.c */
	BROKEN_CMD_NEVER,	/* 8: no change is told */
	BROKEN_CMD_ALWAYS,	/* 8: a change is told where there was none */
	BROKEN_CMD_CANCEL,	/* 8: the mark is on a message that is cancelled */
	BROKEN_CMD_INPLACE,	/* 8: a change of a record in place is not told */
	BROKEN_CMD_TAIL,	/* 8: a change before the last page is not told */
	BROKEN_CMD_XOR,		/* 8: an addition and a removal cancel out */
	BROKEN_CMD_LATE,	/* 8: the generation rises half a second after the change */

	/* headers.c */
	BROKEN_CMD_SINGLE,	/* 9: no NLM_F_MULTI */
	BROKEN_CMD_OTHER,	/* 19: records with another command than the request */
	BROKEN_CMD_SEQ,		/* 26: another sequence number than the request's */
	BROKEN_CMD_PORT,	/* 26: another port id than the socket's */

	/* attributes.c */
	BROKEN_CMD_NEST,	/* 14: a nest of more than 64 KiB */
	BROKEN_CMD_BYTES,	/* 21: a field that is not initialised */
	BROKEN_CMD_PADDING,	/* 21: padding that is not 0 */
	BROKEN_CMD_LENGTH,	/* 23: an attribute that ends behind its message */
	BROKEN_CMD_TEXT,	/* 23: a string without its NUL */
	BROKEN_CMD_TWICE,	/* 23: an attribute comes twice */
	BROKEN_CMD_DROP,	/* 23: an attribute that does not fit is left out */
	BROKEN_CMD_RESET,	/* 25: reading resets what is read */
	BROKEN_CMD_TALLY,	/* 29: children are counted in start(), and filled in later */
	BROKEN_CMD_FIXED,	/* 29: an address is sent with 6 bytes, however long it is */
	BROKEN_CMD_SMALL,	/* 29: the do's reply is too small for the longest name */

	/* requests.c */
	BROKEN_CMD_IGNORE,	/* 10: a filter is accepted and ignored */
	BROKEN_CMD_UNTOLD,	/* 10: a filter is applied without NLM_F_DUMP_FILTERED */
	BROKEN_CMD_PARTLY,	/* 10: NLM_F_DUMP_FILTERED is on the records, not on DONE */
	BROKEN_CMD_AGAIN,	/* 10: each page begins where the filter does, for ever */
	BROKEN_CMD_BUDGET,	/* 10: a filter ends the dump if 100 objects in a row do not pass */
	BROKEN_CMD_INSIDE,	/* 11: any attribute is accepted inside a nest */
	BROKEN_CMD_SLEEP,	/* 16: a filtered scan that cannot be killed */
	BROKEN_CMD_WAITS,	/* 28: the second page waits for what never comes */
	BROKEN_CMD_SHORT,	/* 24: a structure is read beyond the end of its attribute */
	BROKEN_CMD_SILENT,	/* 28: a do that answers nothing */
	BROKEN_CMD_HOLLOW,	/* 28: a do that answers with no attribute */
	BROKEN_CMD_NEXT,	/* 28: a do for a key that is not there answers with the next one */

	/* rights.c */
	BROKEN_CMD_GATE,	/* 22: the do needs a right that the dump does not */
	BROKEN_CMD_SECRET,	/* 22: the dump has a field that the do hides from most */
	BROKEN_CMD_NETNS,	/* 13: the table of another network namespace */
	BROKEN_CMD_CURRENT,	/* 13: the network namespace is the reader's, not the socket's */
	BROKEN_CMD_PID,		/* 13: a process id of the first pid namespace */
	BROKEN_CMD_UID,		/* 13: a user id of the first user namespace */

	__BROKEN_CMD_MAX
};

enum {
	BROKEN_A_ID = 1,	/* u32: the key; of a dump of SOUND a filter */
	BROKEN_A_VALUE,		/* u32 */
	BROKEN_A_NAME,		/* string */
	BROKEN_A_BLOB,		/* binary */
	BROKEN_A_LIST,		/* nest: BROKEN_A_CHILD, BROKEN_A_ID or BROKEN_A_BLOB */
	BROKEN_A_FROM,		/* u32, a filter: the smallest id to send */
	BROKEN_A_FILTER,	/* binary, a filter: struct broken_filter */
	BROKEN_A_PID,		/* u32: process id of whoever reads */
	BROKEN_A_UID,		/* u32: user id of whoever reads */
	BROKEN_A_EVENTS,	/* u32: changes since RESET was read */
	BROKEN_A_COUNT,		/* u32: how many children there are */
	BROKEN_A_SECRET,	/* u32: for CAP_NET_ADMIN only */
	BROKEN_A_ADDRESS,	/* binary: 4 to 8 bytes */
	BROKEN_A_WHERE,		/* nest, a filter: BROKEN_A_FROM */
	BROKEN_A_CHILD,		/* nest: id, value and name of a child */

	__BROKEN_A_MAX
};

/* As BROKEN_A_FROM, in a structure. */
struct broken_filter {
	unsigned int from;
	unsigned int unused;
};

#endif /* BULKDUMP_BROKEN_H */
