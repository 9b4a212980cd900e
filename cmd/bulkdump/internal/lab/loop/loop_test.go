// SPDX-License-Identifier: BSD-3-Clause

package loop

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"bulkdump/cmd/bulkdump/internal/lab/tracefs"
	"bulkdump/cmd/bulkdump/internal/output"
)

// Two dumps, one of another reader, in the kernel's own text: that of A is
// peeked at, changed and interrupted; that of B ends with DONE alone.
const kernelTrace = `# entries-in-buffer/entries-written: 14/14   #P:2
 bulkdump-7 [0] ..... 1.000100: dump_start: netns=5 portid=70 seq=1 min_alloc=0 err=0
 bulkdump-7 [0] ..... 1.000150: dump_page: netns=5 portid=70 seq=1 records=20 bytes=3600 room=3776 scanned=20 place=20 rmem=4352 rcvbuf=16384 ret=3600
 bulkdump-9 [1] ..... 1.000160: dump_page: netns=5 portid=71 seq=1 records=9 bytes=900 room=3776 scanned=9 place=9 rmem=4352 rcvbuf=16384 ret=900
 bulkdump-7 [0] ..... 1.000400: dump_page: netns=5 portid=70 seq=1 records=30 bytes=7000 room=7680 scanned=30 place=50 rmem=12800 rcvbuf=16384 ret=7000
 bulkdump-8 [1] ..... 1.000450: dump_page: netns=5 portid=80 seq=2 records=20 bytes=3770 room=3776 scanned=20 place=20 rmem=4352 rcvbuf=212992 ret=0
 bulkdump-6 [1] ..... 1.000500: table_change: netns=5 change=del id=30 generation=101
 bulkdump-6 [1] ..... 1.000501: table_change: netns=6 change=del id=8 generation=102
 bulkdump-6 [1] ..... 1.000510: table_change: netns=5 change=flush id=0 generation=102
 bulkdump-8 [1] ..... 1.000650: dump_done: netns=5 portid=80 seq=2 abandoned=0
 bulkdump-7 [1] ..... 1.000801: dump_page: netns=5 portid=70 seq=1 records=5 bytes=1000 room=7680 scanned=6 place=55 rmem=16896 rcvbuf=16384 ret=0
 bulkdump-7 [1] ..... 1.000802: dump_done: netns=5 portid=70 seq=1 abandoned=0
 bulkdump-9 [1] ..... 1.000900: dump_done: netns=5 portid=71 seq=1 abandoned=1
`

func events(t testing.TB, text string) []tracefs.Event {
	t.Helper()
	text = strings.Replace(text, "14/14", "12/12", 1)
	traced, err := tracefs.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return traced
}

func aReaders() []Reader {
	return []Reader{{Name: "A", PortID: 70, Seq: 1, TID: 7}, {Name: "B", PortID: 80, Seq: 2, TID: 8}}
}

// aCalls are in no order, as those of several readers come. The kernel's last
// page is said to be a microsecond after the read that set it off.
func aCalls() []Call {
	return []Call{
		{Reader: 0, What: Send, From: 1_000_090, To: 1_000_200, RMem: 4352},
		{Reader: 0, What: Peek, From: 1_000_300, To: 1_000_420, Bytes: 3600, RMem: 12800},
		{Reader: 0, What: Read, From: 1_000_600, To: 1_000_610, Error: "ENOBUFS", RMem: 12800},
		{Reader: 0, What: Read, From: 1_000_700, To: 1_000_800, Bytes: 3600, RMem: 16896},
		{Reader: 0, What: Read, From: 1_000_820, To: 1_000_830, Bytes: 7000, RMem: 8448},
		{Reader: 0, What: Read, From: 1_000_840, To: 1_000_850, Bytes: 1020, Interrupted: true, RMem: 0},
		{Reader: 1, What: Send, From: 1_000_430, To: 1_000_460, RMem: 4352},
		{Reader: 1, What: Read, From: 1_000_630, To: 1_000_660, Bytes: 3770, RMem: 768},
		{Reader: 1, What: Read, From: 1_000_665, To: 1_000_670, Bytes: 20, RMem: 0},
	}
}

func aTrace(t testing.TB) *Trace {
	t.Helper()
	trace, err := Build(aReaders(), aCalls(), events(t, kernelTrace), 5)
	if err != nil {
		t.Fatal(err)
	}
	trace.Title, trace.Says = "Two <dumps>", "A & B"
	return trace
}

// Which page is built in which call, and which call fetches it.
func TestBuild(t *testing.T) {
	trace := aTrace(t)
	var got []string
	for _, c := range trace.Calls {
		line := fmt.Sprintf("%d %s %d", c.Reader, c.What, c.From)
		if c.SetOff != nil {
			p := trace.Pages[*c.SetOff]
			line += fmt.Sprintf(" sets off %d.%d", p.Reader, p.Nr)
			if trace.Calls[*p.By].From != c.From {
				t.Errorf("%s, but the page is by %+v", line, trace.Calls[*p.By])
			}
		}
		if c.Page != nil {
			line += fmt.Sprintf(" fetches %d.%d", trace.Pages[*c.Page].Reader, trace.Pages[*c.Page].Nr)
		}
		got = append(got, line)
	}
	want := []string{
		"0 send 0 sets off 0.1",
		"0 peek 210 sets off 0.2 fetches 0.1",
		"1 send 340 sets off 1.1",
		"0 read 510",
		"1 read 540 fetches 1.1",
		"1 read 575",
		"0 read 610 sets off 0.3 fetches 0.1",
		"0 read 730 fetches 0.2",
		"0 read 750 fetches 0.3",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if want := []Change{{410, "del", 30, 101}, {420, "flush", 0, 102}}; !reflect.DeepEqual(trace.Changes, want) {
		t.Errorf("changes %+v, want %+v", trace.Changes, want)
	}
	if want := []End{{1, 560, false}, {0, 712, false}}; !reflect.DeepEqual(trace.Ends, want) {
		t.Errorf("ends %+v, want %+v", trace.Ends, want)
	}
	if p := trace.Pages[3]; p.Records != 5 || p.Bytes != 1000 || p.Scanned != 6 || p.Place != 55 || p.RMem != 16896 || p.RcvBuf != 16384 || !p.Last || trace.Pages[1].Last {
		t.Errorf("the last page is %+v", p)
	}
}

// A read first takes a page away, then the next one is built.
func TestQueue(t *testing.T) {
	trace := aTrace(t)
	for reader, want := range [][]Step{
		{{60, 4352}, {310, 12800}, {610, 8448}, {711, 16896}, {730, 8448}, {750, 0}},
		{{360, 4352}, {540, 0}, {570, 768}, {575, 0}},
	} {
		if got := trace.Queue(reader); !reflect.DeepEqual(got, want) {
			t.Errorf("reader %d: %v, want %v", reader, got, want)
		}
	}
}

// A page that was built in another thread, or between two calls, was set off by
// no call.
func TestBuildPagesOfNoCall(t *testing.T) {
	for name, text := range map[string]string{
		"another thread":    strings.ReplaceAll(kernelTrace, "bulkdump-7 [0] ..... 1.000150", "bulkdump-6 [0] ..... 1.000150"),
		"between two calls": strings.ReplaceAll(kernelTrace, "1.000150: dump_page: netns=5 portid=70", "1.000202: dump_page: netns=5 portid=70"),
	} {
		trace, err := Build(aReaders(), aCalls(), events(t, text), 5)
		if err != nil {
			t.Fatal(err)
		}
		if trace.Pages[0].By != nil || trace.Calls[0].SetOff != nil {
			t.Errorf("%s: %+v by %+v", name, trace.Pages[0], trace.Calls[0])
		}
	}
}

func TestBuildRefuses(t *testing.T) {
	for want, spoil := range map[string]func(calls []Call, text string) ([]Call, string){
		"no reader has read": func([]Call, string) ([]Call, string) { return nil, kernelTrace },
		"page 1: the kernel traced 3600 bytes at 60 us, and 3599 bytes were read until 330 us": func(c []Call, text string) ([]Call, string) {
			c[1].Bytes--
			return c, text
		},
		"page 3: the kernel traced 1000 bytes at 770 us, and 1020 bytes were read until 760 us": func(c []Call, text string) ([]Call, string) {
			return c, strings.ReplaceAll(text, "1.000801: dump_page", "1.000860: dump_page")
		},
		"trace event dump_page: field rmem: missing": func(c []Call, text string) ([]Call, string) {
			return c, strings.Replace(text, " rmem=16896", "", 1)
		},
		"trace event table_change: field id: ": func(c []Call, text string) ([]Call, string) {
			return c, strings.Replace(text, "id=30 ", "id=x ", 1)
		},
		"trace event dump_done: field netns: ": func(c []Call, text string) ([]Call, string) {
			return c, strings.Replace(text, "dump_done: netns=5", "dump_done: netns=-5", 1)
		},
	} {
		calls, text := spoil(aCalls(), kernelTrace)
		if trace, err := Build(aReaders(), calls, events(t, text), 5); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v, %v; want %q", trace, err, want)
		}
	}
}

const table = `MS     WHO     WHAT                                BYTES  RECORDS  RMEM   HALF    PLACE
0.000  A       sends the request                                   4352           
0.060  kernel  page 1 for A, set off by this send  3600   20       4352   8192    20
0.210  A       peeks at page 1                     3600            12800          
0.310  kernel  page 2 for A, set off by this peek  7000   30       12800  8192    50
0.340  B       sends the request                                   4352           
0.360  kernel  page 1 for B, set off by this send  3770   20       4352   106496  20
0.410  table   del 30, generation 101                                             
0.420  table   flush, generation 102                                              
0.510  A       reads: ENOBUFS                                      12800          
0.540  B       reads page 1                        3770            768            
0.560  kernel  dump finished: B                                                   
0.575  B       reads DONE, alone                   20              0              
0.610  A       reads page 1                        3600            16896          
0.711  kernel  page 3 for A, set off by this read  1000   5        16896  8192    55
0.712  kernel  dump finished: A                                                   
0.730  A       reads page 2                        7000            8448           
0.750  A       reads page 3 and DONE, interrupted  1020            0              
`

func TestText(t *testing.T) {
	var b strings.Builder
	out := output.NewStdout(&b, false, nil)
	if err := aTrace(t).WriteTable(out); err != nil || b.String() != table {
		t.Errorf("%v\n%s", err, b.String())
	}
	b.Reset()
	if err := aTrace(t).WriteCSV(out); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(b.String(), "\n")
	if len(lines) != 19 || lines[0] != "us,who,what,bytes,records,rmem,half,place" ||
		lines[2] != `60,kernel,"page 1 for A, set off by this send",3600,20,4352,8192,20` {
		t.Errorf("%q", lines)
	}
}
