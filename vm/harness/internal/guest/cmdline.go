// SPDX-License-Identifier: BSD-3-Clause

package guest

import (
	"slices"
	"strings"

	"bulkdump/vm/harness/internal/host"
)

// shellOperators are the words that make a command a line for the shell.
var shellOperators = []string{"&&", "||", ";", "|", "&", ">", ">>", "<", "2>", "2>>", "2>&1", ">&2", "|&", "(", ")", "{", "}", "!"}

// guestArgv turns the words after the flags into what the guest executes:
// exactly these words, or, if they hold a bare operator, a line of sh in which
// every other word still means itself. One word with a space in it is a line
// as it stands, as ssh takes it.
func guestArgv(args []string) []string {
	if len(args) == 1 && strings.ContainsAny(args[0], " \t\n") {
		return []string{"sh", "-c", args[0]}
	}
	if !slices.ContainsFunc(args, isOperator) {
		return args
	}
	words := make([]string, len(args))
	for i, a := range args {
		words[i] = a
		if !isOperator(a) {
			words[i] = host.Quote(a)
		}
	}
	return []string{"sh", "-c", strings.Join(words, " ")}
}

func isOperator(word string) bool { return slices.Contains(shellOperators, word) }
