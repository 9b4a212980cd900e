// SPDX-License-Identifier: BSD-3-Clause

package term

import (
	"errors"
	"os"
	"strings"
)

// A When is the value of --color. Its zero value is Auto.
type When string

// The values.
const (
	Auto   When = "auto"
	Always When = "always"
	Never  When = "never"
)

// Set takes one of the values.
func (w *When) Set(text string) error {
	switch v := When(text); v {
	case Auto, Always, Never:
		*w = v
		return nil
	}
	return errors.New("must be auto, always or never")
}

func (w *When) String() string {
	if *w == "" {
		return string(Auto)
	}
	return string(*w)
}

// Type is what the help calls the value.
func (w *When) Type() string { return "WHEN" }

// A Color is what makes a terminal show a line in it.
type Color string

// The colors.
const (
	Plain  Color = ""
	Bold   Color = "\x1b[1m"
	Dim    Color = "\x1b[2m"
	Red    Color = "\x1b[31m"
	Green  Color = "\x1b[32m"
	Yellow Color = "\x1b[33m"
	Cyan   Color = "\x1b[36m"

	noColor = "\x1b[0m"
)

// Paint gives a text of one line the color.
func (c Color) Paint(text string) string {
	if c == Plain || text == "" {
		return text
	}
	return string(c) + text + noColor
}

// Colored tells whether output gets colors. By default, only a terminal does,
// unless the environment says no (no-color.org).
func (w When) Colored(terminal bool) bool {
	switch w {
	case Always:
		return true
	case Never:
		return false
	}
	return terminal && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}

// PaintLines gives each line of a text its color. The text is laid out already:
// otherwise the escapes would count as columns.
func PaintLines(text string, of func(line int) Color) string {
	var b strings.Builder
	n := 0
	for line := range strings.Lines(text) {
		c := of(n)
		n++
		b.WriteString(c.Paint(strings.TrimSuffix(line, "\n")) + line[len(strings.TrimSuffix(line, "\n")):])
	}
	return b.String()
}
