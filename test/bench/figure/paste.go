// SPDX-License-Identifier: BSD-3-Clause

package figure

import (
	"errors"
	"os"
	"strings"
)

// The lines between which a text has the tables.
const (
	tablesBegin = "<!-- What follows is of the command make bench-keep. -->\n```\n"
	tablesEnd   = "```\n<!-- So far. -->\n"
)

var errNoTables = errors.New("no place for the tables in it")

// Paste returns the text with these tables in place of those that it has.
func (r *Report) Paste(text string) (string, error) {
	before, rest, ok := strings.Cut(text, tablesBegin)
	_, after, end := strings.Cut(rest, tablesEnd)
	if !ok || !end {
		return "", errNoTables
	}
	var tables strings.Builder
	if err := r.WriteTables(&tables); err != nil {
		return "", err
	}
	return before + tablesBegin + strings.TrimRight(tables.String(), "\n") + "\n" + tablesEnd + after, nil
}

// PasteInto does so in a file.
func (r *Report) PasteInto(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	pasted, err := r.Paste(string(text))
	if err != nil {
		return err
	}
	return os.WriteFile(file, []byte(pasted), 0o644)
}
