// SPDX-License-Identifier: BSD-3-Clause

package figure

import (
	"errors"
	"io"
	"os"
	"strings"
)

// The tables of a command stand between these two lines of a text.
const tablesEnd = "```\n<!-- So far. -->\n"

func tablesBegin(command string) string {
	return "<!-- What follows is of the command " + command + ". -->\n```\n"
}

var errNoTables = errors.New("it has no place for the tables")

// Paste returns the text with its tables replaced by these.
func (r *Report) Paste(text string) (string, error) {
	return paste(text, "make bench-keep", r.WriteTables)
}

func paste(text, command string, writeTables func(io.Writer) error) (string, error) {
	begin := tablesBegin(command)
	before, rest, ok := strings.Cut(text, begin)
	_, after, end := strings.Cut(rest, tablesEnd)
	if !ok || !end {
		return "", errNoTables
	}
	var tables strings.Builder
	if err := writeTables(&tables); err != nil {
		return "", err
	}
	return before + begin + strings.TrimRight(tables.String(), "\n") + "\n" + tablesEnd + after, nil
}

// PasteInto applies one of the Paste methods to a file.
func PasteInto(file string, paste func(text string) (string, error)) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	pasted, err := paste(string(text))
	if err != nil {
		return err
	}
	return os.WriteFile(file, []byte(pasted), 0o644)
}
