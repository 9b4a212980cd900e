// SPDX-License-Identifier: BSD-3-Clause

package check

// All are the checks, in the order in which they run.
var All = []Check{
	{"end", "ends with NLMSG_DONE and no error", []int{1, 3, 28}, "the dump never ends, or ends with an error in the middle", checkEnd},
	{"pages", "has the same records with pages of any size", []int{1, 3, 14, 23}, "a table that looks whole, and is not", checkPages},
	{"done", "has one NLMSG_DONE, and nothing behind it", []int{27}, "the next request on the socket gets the rest as its answer", checkDone},
	{"multi", "has NLM_F_MULTI on every record", []int{9}, "libnl stops after the first datagram", checkMulti},
	{"address", "answers with the request's sequence number and port id", []int{26}, "a strict reader refuses the records", checkAddress},
	{"command", "answers with the request's command", []int{19}, "a reader needs a table of what belongs to what", checkCommand},
	{"attributes", "has whole records of well-formed attributes", []int{14, 21, 23}, "a reader stops in the middle of a record, or reads what is not there", checkAttributes},
	{"empty", "sends no empty datagram", []int{2}, "many readers take it for the end", checkEmpty},
	{"key", "sends no record twice", []int{3}, "a reader counts or configures something twice", checkKey},
	{"idle", "is the same, byte for byte, while nothing changes", []int{21, 25}, "memory of the kernel's leaks, or reading changes the table", checkIdle},
	{"order", "has the same order each time", []int{3}, "a reader that goes on at a place does not find it", checkOrder},
	{"intr", "is not marked as interrupted without a change", []int{8}, "a reader repeats the dump for ever", checkInterrupted},
	{"cost", "costs the same for each page", []int{4}, "a large table takes hours", checkCost},
	{"fill", "fills its pages", []int{1}, "many system calls for few records", checkFill},
	{"second", "has as many records as another reader sees", []int{20}, "a table that looks whole, and is not", checkSecond},
	{"policy", "accepts what its policy says, and nothing else", []int{11}, "a reader cannot find out what the kernel knows", checkPolicy},
	{"strict", "refuses attributes that it does not know", []int{11}, "a filter is ignored, and the reader believes that it was applied", checkStrict},
	{"request", "refuses a request whose header is wrong", []int{24}, "an old program's mistake is never found, and the bits cannot be used later", checkRequest},
	{"short", "does not read behind the end of a request", []int{24}, "the answer depends on what is in memory there", checkShort},
	{"filter", "says when a filter left records out, and ignores no filter", []int{10}, "the whole table, and the reader believes that it is filtered", checkFilter},
	{"kill", "lets its reader be killed", []int{16}, "a process that not even SIGKILL ends", checkKill},
	{"do", "has the same record as a do", []int{28, 29}, "a reader waits for an answer that never comes", checkDo},
	{"rights", "needs the rights that a do needs", []int{22}, "anybody reads what only root may", checkRights},
	{"nobody", "gives a user without rights no more than root", []int{22}, "anybody reads what only root may", checkNobody},
	{"namespace", "has the table of the socket's network namespace", []int{13}, "a container sees the host's table", checkNamespace},
	{"pid", "has process ids as the reader's pid namespace has them", []int{13}, "the id is that of another process, or of none", checkPid},
	{"busy", "refuses a second dump on the socket", []int{7}, "two dumps mix", checkBusy},
	{"interleaved", "is the same while other dumps are read in between", []int{7}, "two readers get half of the table each", checkInterleaved},
	{"parked", "keeps nobody waiting while its reader does not read", []int{7, 18}, "one reader that hangs stops the system", checkParked},
	{"abandoned", "gives everything back if the reader leaves", []int{7}, "each reader that is killed costs memory", checkAbandoned},
	{"change", "sends what stays exactly once, and tells of a change", []int{3, 4, 5, 8, 29, 30}, "records are missing or come twice, and nothing tells", checkChange},
}
