// SPDX-License-Identifier: BSD-3-Clause

package client

import (
	"bytes"
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"bulkdump/client/internal/script"
	"bulkdump/client/internal/uapi"
	"bulkdump/client/nldump"
)

// ids reads a dump to its end.
func ids(ctx context.Context, c *Client, o DumpOptions) (got []uint32, err error) {
	for e, e2 := range c.Dump(ctx, o) {
		if e2 != nil {
			if err != nil {
				return got, errors.New("a second error was yielded")
			}
			err = e2
			continue
		}
		got = append(got, e.ID)
	}
	return got, err
}

func TestDump(t *testing.T) {
	intr := uint16(unix.NLM_F_DUMP_INTR)
	page := script.Page
	other := script.Record(0, []byte{uapi.CmdEntryNew, 1, 0, 0}, script.U32(uapi.AttrEntryID, 1))
	family := script.Message(fakeFamily+1, unix.NLM_F_MULTI, []byte{uapi.CmdEntryGet, 1, 0, 0}, script.U32(uapi.AttrEntryID, 1))
	for _, tt := range []struct {
		name  string
		steps []script.Step
		want  []uint32
		err   error
		kept  bool // whether the socket is kept
	}{
		{"empty", []script.Step{page(done())}, nil, nil, true},
		{"pages", []script.Step{page(entry(0, 0), entry(0, 7)), page(entry(0, 0xffffffff)), page(done())}, []uint32{0, 7, 0xffffffff}, nil, true},
		{"interrupted", []script.Step{page(entry(intr, 1)), page(entry(0, 2), done())}, []uint32{1, 2}, ErrInterrupted, true},
		{"interrupted on DONE", []script.Step{page(entry(0, 1)), page(script.Done(intr, 0))}, []uint32{1}, ErrInterrupted, true},
		{"errno", []script.Step{page(entry(0, 1), script.Done(0, unix.EMSGSIZE))}, []uint32{1}, unix.EMSGSIZE, true},
		{"gone during the dump", []script.Step{page(entry(0, 1), script.Done(0, unix.ENOENT))}, []uint32{1}, os.ErrNotExist, true},
		{"truncated", []script.Step{page(entry(0, 1)), {Page: make([]byte, 70000)}}, []uint32{1}, ErrTruncated, false},
		{"another command", []script.Step{page(other, done())}, nil, ErrBadReply, true},
		{"another family", []script.Step{page(family), page(done())}, nil, ErrBadReply, false},
		{"no genetlink header", []script.Step{page(script.Record(0, []byte{1})), page(done())}, nil, ErrBadReply, false},
		{"malformed record", []script.Step{page(entry(0, 1), entry(0, 2, []byte{1, 2, 3, 4})), page(done())}, []uint32{1}, ErrBadReply, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			k := &scriptedKernel{}
			c := dialFake(t, k, tt.steps)
			var st nldump.Stats
			got, err := ids(t.Context(), c, DumpOptions{Stats: &st})
			if !slices.Equal(got, tt.want) || !errors.Is(err, tt.err) {
				t.Errorf("got %v, %v\nwant %v, %v", got, err, tt.want, tt.err)
			}
			if err != nil && !strings.HasPrefix(err.Error(), "entry-get: ") {
				t.Errorf("error %q does not name the operation", err)
			}
			if int(st.Records) < len(tt.want) || st.Reads == 0 {
				t.Errorf("stats %+v", st)
			}
			if k.sockets[0].Closed() == tt.kept {
				t.Errorf("socket closed: %v, want %v", !tt.kept, tt.kept)
			}
		})
	}
}

func TestDumpRequest(t *testing.T) {
	needLittleEndian(t)
	for _, tt := range []struct {
		o    DumpOptions
		want []byte
	}{
		{DumpOptions{}, []byte{uapi.CmdEntryGet, 1, 0, 0}},
		{DumpOptions{IDFrom: ptr(uint32(0))}, []byte{uapi.CmdEntryGet, 1, 0, 0, 12, 0, 8, 0x80, 8, 0, 1, 0, 0, 0, 0, 0}},
		{DumpOptions{IDTo: ptr(uint32(0xffffffff))}, []byte{uapi.CmdEntryGet, 1, 0, 0, 12, 0, 8, 0x80, 8, 0, 2, 0, 0xff, 0xff, 0xff, 0xff}},
		{DumpOptions{IDFrom: ptr(uint32(5)), IDTo: ptr(uint32(6))}, []byte{uapi.CmdEntryGet, 1, 0, 0, 20, 0, 8, 0x80, 8, 0, 1, 0, 5, 0, 0, 0, 8, 0, 2, 0, 6, 0, 0, 0}},
		{DumpOptions{NamePrefix: "ab", Flags: 1, FlagsMask: 3}, []byte{uapi.CmdEntryGet, 1, 0, 0, 28, 0, 8, 0x80,
			7, 0, 3, 0, 'a', 'b', 0, 0, 8, 0, 4, 0, 1, 0, 0, 0, 8, 0, 5, 0, 3, 0, 0, 0}},
		{DumpOptions{Fields: ptr(FieldName | FieldValue), Cursor: CursorWalker, Encoding: EncodingColumns}, []byte{uapi.CmdEntryGet, 1, 0, 0,
			8, 0, 10, 0, 5, 0, 0, 0, 8, 0, 12, 0, 3, 0, 0, 0, 8, 0, 13, 0, 2, 0, 0, 0}},
		{DumpOptions{Since: ptr(uint64(1) << 32)}, []byte{uapi.CmdEntryGet, 1, 0, 0, 12, 0, 11, 0, 0, 0, 0, 0, 1, 0, 0, 0}},
		{DumpOptions{Fields: ptr(Field(0)), Since: ptr(uint64(0))}, []byte{uapi.CmdEntryGet, 1, 0, 0, 8, 0, 10, 0, 0, 0, 0, 0, 8, 0, 11, 0, 0, 0, 0, 0}},
	} {
		k := &scriptedKernel{}
		c := dialFake(t, k, []script.Step{script.Page(done())})
		if _, err := ids(t.Context(), c, tt.o); err != nil {
			t.Fatal(err)
		}
		m := k.sockets[0].Sent()[0]
		if m.Type != fakeFamily || m.Flags != unix.NLM_F_REQUEST|unix.NLM_F_DUMP|unix.NLM_F_ACK || !bytes.Equal(m.Data, tt.want) {
			t.Errorf("type %d, flags %#x\ngot  % x\nwant % x", m.Type, m.Flags, m.Data, tt.want)
		}
	}
}

// TestRecordsLends shows that there is only one Record, which points into the page.
func TestRecordsLends(t *testing.T) {
	k := &scriptedKernel{}
	c := dialFake(t, k, []script.Step{script.Page(
		entry(0, 1, script.Text(uapi.AttrEntryName, "one")), entry(0, 2, script.Text(uapi.AttrEntryName, "two")), done())})
	var first *Record
	var names []string
	for r, err := range c.Records(t.Context(), DumpOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = r
		}
		if r != first {
			t.Error("another record")
		}
		names = append(names, string(r.Name))
	}
	if !slices.Equal(names, []string{"one", "two"}) {
		t.Errorf("names %q", names)
	}
}

func TestRecordsError(t *testing.T) {
	c := dialFake(t, &scriptedKernel{}, []script.Step{script.Page()})
	for r, err := range c.Records(t.Context(), DumpOptions{}) {
		if r != nil || err == nil {
			t.Errorf("got %v, %v", r, err)
		}
	}
}

// TestRecordsCancelled shows that after ctx is done, only the rest of the page
// comes, in any encoding and also for the last page.
func TestRecordsCancelled(t *testing.T) {
	plain := slices.Concat(entry(0, 1), entry(0, 2), entry(0, 3))
	columns := script.Record(0, []byte{uapi.CmdEntryGet, uapi.Version, 0, 0},
		script.Attr(uapi.AttrEntryColumns, array(uapi.AttrColumnsID, uint32(1), uint32(2), uint32(3))))
	for name, steps := range map[string][]script.Step{
		"plain":              {script.Page(plain), script.Page(entry(0, 4), done())},
		"columns":            {script.Page(columns), script.Page(entry(0, 4), done())},
		"plain, last page":   {script.Page(plain, done())},
		"columns, last page": {script.Page(columns, done())},
	} {
		c := dialFake(t, &scriptedKernel{}, steps)
		ctx, cancel := context.WithCancel(t.Context())
		var ids []uint32
		var last error
		for r, err := range c.Records(ctx, DumpOptions{}) {
			if last = err; err == nil {
				ids = append(ids, r.ID)
			}
			if len(ids) == 2 {
				cancel()
			}
		}
		cancel()
		if !slices.Equal(ids, []uint32{1, 2, 3}) || !errors.Is(last, context.Canceled) {
			t.Errorf("%s: %v, %v; want [1 2 3], cancelled", name, ids, last)
		}
	}
}

// TestRecordsNoAlloc compares a dump with one that is fifty times as long.
func TestRecordsNoAlloc(t *testing.T) {
	dump := func(pages int) float64 {
		steps := bigDump(pages, 20)
		k := &scriptedKernel{}
		c := dialFake(t, k, slices.Repeat([][]script.Step{steps}, 30)...)
		return testing.AllocsPerRun(10, func() {
			var sum Checksum
			n := 0
			for r, err := range c.Records(t.Context(), DumpOptions{}) {
				if err != nil {
					t.Fatal(err)
				}
				sum.Add(r)
				n++
			}
			if n != pages*20 {
				t.Fatalf("%d records", n)
			}
			c.dropIdle()
		})
	}
	few, many := dump(2), dump(100)
	if perRecord := (many - few) / (98 * 20); perRecord > 0.0005 {
		t.Errorf("%v allocations for 40 records, %v for 2000", few, many)
	}
}

// dropIdle makes the next dump open another socket, with another script.
func (c *Client) dropIdle() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.idle = nil
}

// bigDump returns a script of whole entries.
func bigDump(pages, records int) []script.Step {
	var steps []script.Step
	for p := range pages {
		var b []byte
		for r := range records {
			b = append(b, entry(0, uint32(p*records+r),
				script.Text(uapi.AttrEntryName, "some name"), script.U32(uapi.AttrEntryFlags, 1), script.U64(uapi.AttrEntryValue, 1<<40),
				script.Attr(uapi.AttrEntryPayload, make([]byte, 100)), script.U64(uapi.AttrEntryGeneration, 1),
				script.Attr(uapi.AttrEntryStats, script.U32(uapi.AttrStatsHits, 1), script.U64(uapi.AttrStatsCreated, 1e18)))...)
		}
		steps = append(steps, script.Page(b))
	}
	return append(steps, script.Page(done()))
}

func BenchmarkRecords(b *testing.B) {
	steps := bigDump(100, 100)
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		c := dialFake(b, &scriptedKernel{}, steps)
		for _, err := range c.Records(b.Context(), DumpOptions{}) {
			if err != nil {
				b.Fatal(err)
			}
			n++
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/record")
}
