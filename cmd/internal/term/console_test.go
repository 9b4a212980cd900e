// SPDX-License-Identifier: BSD-3-Clause

package term

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
)

func TestConsole(t *testing.T) {
	var shown strings.Builder
	width := 20
	c := NewConsole("bulkdump", &shown, func() int { return width })
	want := ""
	step := func(more string) {
		t.Helper()
		if want += more; shown.String() != want {
			t.Fatalf("got %q, want %q", shown.String(), want)
		}
	}
	c.Clear()
	step("")
	c.Show("12345", "7890", "34567") // 18 columns
	step(clearLine + "12345, 7890, 34567")
	width = 19 // the window was made smaller: one must stay free
	c.Show("12345", "7890", "34567")
	step(clearLine + "12345, 7890, 34567")
	width = 18
	c.Show("12345", "7890", "34567")
	step(clearLine + "12345, 7890")
	for width = range 7 {
		c.Show("12345", "")
		step(clearLine + "12345"[:max(width-1, 0)])
	}
	fmt.Fprintln(c, "a warning")
	step(clearLine + "a warning\n")
	fmt.Fprintln(c, "another")
	step("another\n")
	c.Show("x")
	c.Clear()
	c.Clear()
	step(clearLine + "x" + clearLine)

	c = NewConsole("bulkdump", &shown, nil) // no terminal
	c.Show("x")
	c.Clear()
	step("")
}

// Each of several joined errors gets a line of its own.
func TestComplainOfSeveral(t *testing.T) {
	var stderr strings.Builder
	c := NewConsole("bulkdump", &stderr, nil)
	c.Complain(fmt.Errorf("%w and %w", errors.New("one"), errors.New("other")))
	c.Complain(errors.Join(errors.New("one"), errors.Join(errors.New("two\nlines"), errors.New("three"))))
	const want = "bulkdump: one and other\nbulkdump: one\nbulkdump: two\\nlines\nbulkdump: three\n"
	if stderr.String() != want {
		t.Errorf("got %q, want %q", stderr.String(), want)
	}
}

func TestIsTerminal(t *testing.T) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	if IsTerminal(null) {
		t.Errorf("%s is taken for a terminal", null.Name())
	}
	terminal, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("a terminal is needed: %v", err)
	}
	defer terminal.Close()
	if !IsTerminal(terminal) {
		t.Errorf("%s is not taken for a terminal", terminal.Name())
	}
}
