// SPDX-License-Identifier: BSD-3-Clause

package check

// All are the checks, in the order in which they run.
var All = []Check{
	{
		"end", "ends with NLMSG_DONE and no error", []int{1, 3, 28},
		"the dump never ends, or ends with an error in the middle",
		"It takes the dump with the largest pages and with small ones, and looks for what tells the records apart, unless --key says so.",
		checkEnd,
	},
	{
		"pages", "has the same records with pages of any size", []int{1, 3, 14, 23},
		"a table that looks whole, and is not",
		"It takes the dump with pages of nine sizes, from the smallest to 32 KiB, and once with a small first page. Each must have the records of the first dump, with the same content.",
		checkPages,
	},
	{
		"done", "has one NLMSG_DONE, and nothing behind it", []int{27},
		"the next request on the socket gets the rest as its answer",
		"It looks at the end of every dump that was taken so far.",
		checkDone,
	},
	{
		"multi", "has NLM_F_MULTI on every record", []int{9},
		"libnl stops after the first datagram",
		"It looks at every record that came so far.",
		checkMulti,
	},
	{
		"address", "answers with the request's sequence number and port id", []int{26},
		"a strict reader refuses the records",
		"It looks at every record that came so far.",
		checkAddress,
	},
	{
		"command", "answers with the request's command", []int{19},
		"a reader needs a table of what belongs to what",
		"It looks at every record that came so far.",
		checkCommand,
	},
	{
		"attributes", "has whole records of well-formed attributes", []int{14, 21, 23},
		"a reader stops in the middle of a record, or reads what is not there",
		"It looks at every record that came so far: lengths, nests, padding, strings, and bytes behind the last record of a page.",
		checkAttributes,
	},
	{
		"empty", "sends no empty datagram", []int{2},
		"many readers take it for the end",
		"It looks for empty datagrams in every dump so far, and takes the dump in a new network namespace, where most tables are empty.",
		checkEmpty,
	},
	{
		"key", "sends no record twice", []int{3},
		"a reader counts or configures something twice",
		"It compares the keys of the records of one dump. If the key was found by trying, no two records had the same one at first.",
		checkKey,
	},
	{
		"idle", "is the same, byte for byte, while nothing changes", []int{21, 25},
		"memory of the kernel's leaks, or reading changes the table",
		"It takes the dump three times, and compares each record, attribute by attribute. A number that goes one way is a counter or an age, which is a note.",
		checkIdle,
	},
	{
		"order", "has the same order each time", []int{3},
		"a reader that goes on at a place does not find it",
		"It takes the dump once more, and compares the order.",
		checkOrder,
	},
	{
		"intr", "is not marked as interrupted without a change", []int{8},
		"a reader repeats the dump for ever",
		"It takes the dump five times while nothing changes.",
		checkInterrupted,
	},
	{
		"cost", "costs the same for each page", []int{4},
		"a large table takes hours",
		"It takes the dump five times, or up to thirty if the last pages are slow, and compares the pages of the last quarter with those of the first, the fastest of each.",
		checkCost,
	},
	{
		"fill", "fills its pages", []int{1},
		"many system calls for few records",
		"It compares the size of the pages with the size that they may have.",
		checkFill,
	},
	{
		"second", "has as many records as another reader sees", []int{20},
		"a table that looks whole, and is not",
		"It counts the lines that the command of --second prints, and the records of a dump.",
		checkSecond,
	},
	{
		"policy", "accepts what its policy says, and nothing else", []int{11},
		"a reader cannot find out what the kernel knows",
		"It reads the policy that the kernel exports, and sends attributes that are in it, with a wrong size, and attributes that are not.",
		checkPolicy,
	},
	{
		"strict", "refuses attributes that it does not know", []int{11},
		"a filter is ignored, and the reader believes that it was applied",
		"It sends attributes that no policy has, cut short, and with junk in a nest. Each must be refused with EINVAL and a text.",
		checkStrict,
	},
	{
		"request", "refuses a request whose header is wrong", []int{24},
		"an old program's mistake is never found, and the bits cannot be used later",
		"It sends requests with unknown flags, with bits in reserved fields, and without the family's header.",
		checkRequest,
	},
	{
		"short", "does not read behind the end of a request", []int{24},
		"the answer depends on what is in memory there",
		"It sends a request that says that it is shorter than the header, twice, with other bytes behind its end, and does the same with attributes.",
		checkShort,
	},
	{
		"filter", "says when a filter left records out, and ignores no filter", []int{10},
		"the whole table, and the reader believes that it is filtered",
		"It sends each attribute of the policy with several values, one of which is that of a record.",
		checkFilter,
	},
	{
		"kill", "lets its reader be killed", []int{16},
		"a process that not even SIGKILL ends",
		"If a page took half a second, it kills a process that waits for it.",
		checkKill,
	},
	{
		"do", "has the same record as a do", []int{28, 29},
		"a reader waits for an answer that never comes",
		"It asks for some of the records one by one, with their keys, and for one that is not there.",
		checkDo,
	},
	{
		"rights", "needs the rights that a do needs", []int{22},
		"anybody reads what only root may",
		"It asks for a record, and takes the dump, as root and as the user of --as-user.",
		checkRights,
	},
	{
		"nobody", "gives a user without rights no more than root", []int{22},
		"anybody reads what only root may",
		"It takes the dump as the user of --as-user, and compares with that of root.",
		checkNobody,
	},
	{
		"namespace", "has the table of the socket's network namespace", []int{13},
		"a container sees the host's table",
		"It takes the dump in a new network namespace, and reads one there from a socket of this namespace.",
		checkNamespace,
	},
	{
		"pid", "has process ids as the reader's pid namespace has them", []int{13},
		"the id is that of another process, or of none",
		"It looks for its process id and user id in the records. If there are any, it takes the dump in a new pid namespace and user namespace.",
		checkPid,
	},
	{
		"busy", "refuses a second dump on the socket", []int{7},
		"two dumps mix",
		"It sends a second request on the socket of a dump that is not over, and reads the first dump to its end.",
		checkBusy,
	},
	{
		"interleaved", "is the same while other dumps are read in between", []int{7},
		"two readers get half of the table each",
		"It reads three dumps in turns, page by page, and one with a filtered dump in between.",
		checkInterleaved,
	},
	{
		"parked", "keeps nobody waiting while its reader does not read", []int{7, 18},
		"one reader that hangs stops the system",
		"It reads a page of a dump, and leaves it there. Meanwhile it takes other dumps, changes the table, and looks at the module's references. Then it reads on.",
		checkParked,
	},
	{
		"abandoned", "gives everything back if the reader leaves", []int{7},
		"each reader that is killed costs memory",
		"It begins 150 dumps and closes each socket after another number of pages, three times. The module's references and the objects in /proc/slabinfo must come back.",
		checkAbandoned,
	},
	{
		"change", "sends what stays exactly once, and tells of a change", []int{3, 4, 5, 8, 29, 30},
		"records are missing or come twice, and nothing tells",
		"It adds objects to the table: by itself if it knows the table, else with --change. During a dump it removes, adds or changes one of them at a border between two pages, at the start, in the middle, at the end; then others at every border. All records that it did not touch must come once, and the dump must have NLM_F_DUMP_INTR. The kernel makes a page when the one before is read, so one page is made already that nobody has read.",
		checkChange,
	},
}
