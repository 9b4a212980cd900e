// SPDX-License-Identifier: BSD-3-Clause

package output

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"bulkdump/cmd/internal/term"
)

// Data on the same terminal is not written onto the status.
func TestDataAfterStatus(t *testing.T) {
	var screen strings.Builder
	c := term.NewConsole("bulkdump", &screen, func() int { return 80 })
	out := NewStdout(&screen, true, c)
	c.Show("half of it")
	fmt.Fprintln(out, "data")
	if want := "\r\x1b[Khalf of it\r\x1b[Kdata\n"; screen.String() != want {
		t.Errorf("got %q, want %q", screen.String(), want)
	}
}

// A quick dump shows nothing, however long it is.
func TestProgressIsNotHasty(t *testing.T) {
	var shown strings.Builder
	p := NewProgress(term.NewConsole("bulkdump", &shown, func() int { return 80 }), 0)
	p.next = time.Now().Add(time.Hour)
	for range 10 * ProgressInterval {
		p.Add()
	}
	p.End()
	if shown.Len() > 0 {
		t.Errorf("got %q, want nothing", shown.String())
	}
}
