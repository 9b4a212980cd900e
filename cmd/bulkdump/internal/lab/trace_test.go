// SPDX-License-Identifier: BSD-3-Clause

package lab

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"bulkdump/client"
	"bulkdump/client/nldump"
	"bulkdump/cmd/bulkdump/internal/lab/loop"
	"bulkdump/cmd/bulkdump/internal/output"
	"bulkdump/cmd/internal/term"
)

// play traces dumps on a kernel, and checks that nothing is left.
func (k *fakeLoop) play(t *testing.T, f *fakeTable, o TraceOptions) (*loop.Trace, error) {
	t.Helper()
	got, err := trace(t.Context(), k, f, o, ignore)
	if k.notClosed != 0 {
		t.Errorf("%+v: %d traces are left", o, k.notClosed)
	}
	for _, s := range k.sockets {
		if s.open {
			t.Errorf("%+v: the socket with port id %d is left", o, s.port)
		}
	}
	return got, err
}

// one is a reader as the command line has it by default.
func one() TraceOptions {
	return TraceOptions{Readers: 1, Reader: ReaderOptions{Dump: client.DumpOptions{BufferSize: nldump.DefaultBufferSize}}}
}

const aTraced = `MS     WHO     WHAT                                BYTES  RECORDS  RMEM  HALF    PLACE
0.000  A       sends the request                                   1000
0.001  kernel  page 1 for A, set off by this send  40     2        1000  106496  2
0.021  A       reads page 1                        40              1000
0.022  kernel  page 2 for A, set off by this read  40     2        1000  106496  4
0.042  A       reads page 2                        40              1000
0.043  kernel  page 3 for A, set off by this read  40     2        1000  106496  6
0.063  A       reads page 3                        40              1000
0.064  kernel  page 4 for A, set off by this read  40     2        1000  106496  8
0.084  A       reads page 4, interrupted           40              1000
0.085  kernel  page 5 for A, set off by this read  40     2        1000  106496  10
0.105  A       reads page 5 and DONE               60              0
`

func TestTrace(t *testing.T) {
	k := newFakeLoop()
	k.interrupt = 3
	trace, err := k.play(t, &fakeTable{}, one())
	if err != nil || len(trace.Calls) != 6 || len(trace.Pages) != 5 || trace.Readers[0].PortID != 100 {
		t.Fatalf("%+v, %v", trace, err)
	}
	if got := printed(t, trace, output.FormatTable, term.Never); got != aTraced {
		t.Errorf("got\n%s\nwant\n%s", got, aTraced)
	}
	if got := printed(t, trace, output.FormatCSV, term.Never); strings.Count(got, "\n") != 12 || !strings.HasPrefix(got, "us,who,") {
		t.Errorf("csv: %q", got)
	}
	var svg strings.Builder
	if err := trace.WriteSVG(&svg); err != nil || !strings.HasPrefix(svg.String(), "<svg ") || !strings.HasSuffix(svg.String(), "</svg>\n") || !strings.Contains(svg.String(), ">INTR<") {
		t.Errorf("svg: %v, %q", err, svg.String())
	}
	got := printed(t, trace, output.FormatTable, term.Always)
	if !strings.Contains(got, string(term.Red)+"0.084  A       reads page 4, interrupted") || !strings.Contains(got, string(term.Dim)+"0.001  kernel") {
		t.Errorf("colors: %q", got)
	}
}

// DONE alone may be marked as interrupted.
func TestTraceInterruptedAtDone(t *testing.T) {
	k := newFakeLoop()
	k.interrupt = k.pages
	trace, err := k.play(t, &fakeTable{}, one())
	if err != nil {
		t.Fatal(err)
	}
	if got := printed(t, trace, output.FormatTable, term.Never); !strings.Contains(got, "reads page 5 and DONE, interrupted") || strings.Count(got, "interrupted") != 1 {
		t.Errorf("%q", got)
	}
}

// With a receive buffer for three pages, a reader that peeks gets ahead until two
// wait. With one for hardly two, it is told that there was no room.
func TestTraceOfPeek(t *testing.T) {
	most := func(rcvbuf uint32) (rmem, setOffByPeek int, errors []string) {
		t.Helper()
		o := one()
		o.Reader.Peek, o.Reader.ReceiveBuffer = true, rcvbuf
		trace, err := newFakeLoop().play(t, &fakeTable{}, o)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range trace.Calls {
			rmem = max(rmem, int(c.RMem))
			if c.What == loop.Peek && c.SetOff != nil {
				setOffByPeek++
			}
			if c.Error != "" {
				errors = append(errors, c.What+" "+c.Error)
			}
		}
		return rmem, setOffByPeek, errors
	}
	if rmem, peeks, errs := most(1900); rmem != 2000 || peeks != 1 || errs != nil {
		t.Errorf("at most %d bytes waited, %d peeks set a page off, errors %q; want 2000, 1 and none", rmem, peeks, errs)
	}
	if rmem, peeks, errs := most(1000); rmem != 1000 || peeks != 0 || !slices.Contains(errs, "read ENOBUFS") {
		t.Errorf("at most %d bytes waited, %d peeks set a page off, errors %q; want 1000, none and ENOBUFS", rmem, peeks, errs)
	}
}

// Each scenario fills an empty table, and empties it.
func TestScenarios(t *testing.T) {
	names, help := Scenarios()
	for _, name := range names {
		want, known := map[string]struct {
			readers  int
			peek     bool
			asked    []string
			wantText string
		}{
			"slow-reader":     {1, false, nil, "A slow reader parks its dump"},
			"small-buffer":    {1, true, nil, "Half of the receive buffer is the limit"},
			"two-readers":     {2, false, nil, "reader B"},
			"mid-dump-change": {1, false, []string{"del 40", "set 560", `new 721 "new"`, "del 880"}, "INTR"},
		}[name]
		if !known || help(name) == "" {
			t.Errorf("%s: known here %t, help %q", name, known, help(name))
			continue
		}
		f, k := &fakeTable{}, newFakeLoop()
		k.interrupt = 4
		trace, err := k.play(t, f, TraceOptions{Scenario: name})
		if err != nil {
			t.Fatal(name, err)
		}
		var svg strings.Builder
		if err := trace.WriteSVG(&svg); err != nil || !strings.Contains(svg.String(), want.wantText) {
			t.Errorf("%s: %v, %s", name, err, svg.String())
		}
		if strings.Contains(svg.String(), `class="peek`) != want.peek || len(k.sockets) != want.readers {
			t.Errorf("%s: %d readers", name, len(k.sockets))
		}
		n := len(f.asked)
		if n < 3 || f.asked[0] != "table" || !strings.HasPrefix(f.asked[1], "fill ") || f.asked[n-1] != "flush" {
			t.Errorf("%s: asked %q", name, f.asked)
		} else if changes := f.asked[2 : n-1]; !slices.Equal(changes, want.asked) {
			t.Errorf("%s: changes %q, want %q", name, changes, want.asked)
		}
	}
}

// The failure of one reader ends the others, and leaves nothing behind.
func TestTraceFails(t *testing.T) {
	no := errors.New("no such luck")
	scenario := func(name string) func(*TraceOptions) {
		return func(o *TraceOptions) { *o = TraceOptions{Scenario: name} }
	}
	for _, tt := range []struct {
		spoil func(*fakeTable, *fakeLoop)
		with  func(*TraceOptions)
		want  string
	}{
		{func(_ *fakeTable, k *fakeLoop) { k.collectErr = no }, nil, "no such luck"},
		{func(_ *fakeTable, k *fakeLoop) { k.openErr = no }, nil, "no such luck"},
		{func(_ *fakeTable, k *fakeLoop) { k.recvErr = no }, func(o *TraceOptions) { o.Readers, o.Reader.Peek = 3, true }, "no such luck"},
		{func(_ *fakeTable, k *fakeLoop) { k.sendErr = no }, func(o *TraceOptions) { o.Readers, o.Reader.Delay = 2, time.Hour }, "reader A: nldump: no such luck"},
		{func(_ *fakeTable, k *fakeLoop) { k.log = []byte("CPU:0 [LOST 1 EVENTS]\n") }, nil, "the trace lost events"},
		{func(f *fakeTable, _ *fakeLoop) { f.count = 1 }, scenario("slow-reader"), "the table is not empty"},
		{func(f *fakeTable, _ *fakeLoop) { f.errs = map[uint32]error{40: no} }, scenario("mid-dump-change"), "no such luck"},
	} {
		f, k, o := &fakeTable{}, newFakeLoop(), one()
		tt.spoil(f, k)
		if tt.with != nil {
			tt.with(&o)
		}
		if got, err := k.play(t, f, o); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v, %v, want %s", got, err, tt.want)
		}
		if slices.ContainsFunc(f.asked, func(what string) bool { return strings.HasPrefix(what, "fill") }) != slices.Contains(f.asked, "flush") {
			t.Errorf("%s: asked %q", tt.want, f.asked)
		}
	}
}
