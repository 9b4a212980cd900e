// SPDX-License-Identifier: BSD-3-Clause

package lab

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"iter"
	"os"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"bulkdump/client"
	"bulkdump/cmd/bulkdump/internal/output"
	"bulkdump/cmd/internal/term"
)

func TestMain(m *testing.M) {
	if os.Getenv(stayerEnv) != "" {
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// A fakeTable notes what it was asked.
type fakeTable struct {
	asked []string
	errs  map[uint32]error // fails the calls for an id
	count uint64           // of its entries
}

func (f *fakeTable) ask(format string, args ...any) {
	f.asked = append(f.asked, fmt.Sprintf(format, args...))
}

func (f *fakeTable) Get(_ context.Context, id uint32) (client.Entry, error) {
	f.ask("get %d", id)
	return client.Entry{}, f.errs[id]
}

func (f *fakeTable) New(_ context.Context, e client.Entry) (uint64, error) {
	f.ask("new %d %q", e.ID, e.Name)
	return 1, f.errs[e.ID]
}

func (f *fakeTable) Set(_ context.Context, ch client.Change) (uint64, error) {
	f.ask("set %d", ch.ID)
	return 1, f.errs[ch.ID]
}

func (f *fakeTable) Delete(_ context.Context, id uint32) (uint64, error) {
	f.ask("del %d", id)
	return 1, f.errs[id]
}

func (f *fakeTable) Fill(_ context.Context, o client.FillOptions) (client.Filled, error) {
	f.ask("fill %d", o.Count)
	return client.Filled{Count: o.Count}, nil
}

func (f *fakeTable) Flush(context.Context) (client.Flushed, error) {
	f.ask("flush")
	return client.Flushed{}, nil
}

func (f *fakeTable) Table(context.Context) (client.Table, error) {
	f.ask("table")
	return client.Table{Count: f.count}, nil
}

func (f *fakeTable) Records(context.Context, client.DumpOptions) iter.Seq2[*client.Record, error] {
	f.ask("dump")
	return func(func(*client.Record, error) bool) {}
}

func ignore(string) {}

// printed is a report as a format has it, without the blanks at the ends of
// lines, which an editor would remove.
func printed(t *testing.T, r output.Report, format string, color term.When) string {
	t.Helper()
	var b bytes.Buffer
	out := output.NewStdout(&b, false, term.NewConsole("bulkdump", io.Discard, nil))
	out.Format, out.Color = format, color
	if err := out.Report(r); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(b.String(), "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return strings.Join(lines, "\n")
}
