// SPDX-License-Identifier: BSD-3-Clause

package client

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/mdlayher/genetlink"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"bulkdump/client/internal/script"
	"bulkdump/client/internal/uapi"
	"bulkdump/client/nldump"
)

// dialTables is dialFake with a kernel that reports the next of the generations
// at each request.
func dialTables(t testing.TB, generations []uint64, scripts ...[]script.Step) (*Client, *scriptedKernel) {
	t.Helper()
	k := &scriptedKernel{answer: func(m genetlink.Message, _ netlink.Message) ([]genetlink.Message, error) {
		if len(generations) == 0 {
			return nil, errors.New("table-get once too often")
		}
		g := generations[0]
		generations = generations[1:]
		return reply(m.Header.Command, script.U64(uapi.AttrTableGeneration, g)), nil
	}}
	return dialFake(t, k, scripts...), k
}

// upsert and deleted return records of a sync, changed in that generation.
func upsert(id uint32, generation uint64) []byte {
	return entry(0, id, script.U64(uapi.AttrEntryGeneration, generation))
}

func deleted(id uint32, generation uint64) []byte {
	return entry(0, id, script.U64(uapi.AttrEntryGeneration, generation), script.Attr(uapi.AttrEntryDeleted))
}

// stream returns what a Sync yields as text: id@generation, with a minus for a
// delete. The functions in each are called for each record.
func stream(ctx context.Context, c *Client, o SyncOptions, each ...func(*Record)) (string, error) {
	var all []string
	reset := o.Reset
	if reset != nil {
		o.Reset = func() { reset(); all = append(all, "reset") }
	}
	var last error
	for r, err := range c.Sync(ctx, o) {
		for _, fn := range each {
			fn(r)
		}
		switch {
		case last != nil:
			return "", errors.New("the loop went on after an error")
		case err != nil:
			last = err
		case r.Deleted:
			all = append(all, fmt.Sprintf("-%d@%d", r.ID, r.Generation))
		default:
			all = append(all, fmt.Sprintf("%d@%d", r.ID, r.Generation))
		}
	}
	return strings.Join(all, " "), last
}

func TestSync(t *testing.T) {
	page := script.Page
	intr := script.Done(unix.NLM_F_DUMP_INTR, 0)
	refused := page(script.Message(unix.NLMSG_ERROR, 0, script.Errno(unix.ESTALE)))
	stale := script.Done(0, unix.ESTALE)
	for _, tt := range []struct {
		name   string
		tables []uint64
		steps  []script.Step
		o      SyncOptions
		want   string
		synced Synced
		err    error
	}{
		{"at rest", []uint64{5, 5}, []script.Step{page(upsert(0, 4), upsert(0xffffffff, 3), done()), page(done())}, SyncOptions{},
			"0@4 4294967295@3", Synced{Generation: 5, Full: 1, Deltas: 1, Records: 2}, nil},
		{"empty", []uint64{1, 1}, []script.Step{page(done()), page(done())}, SyncOptions{},
			"", Synced{Generation: 1, Full: 1, Deltas: 1}, nil},
		{"changed before the full pass", []uint64{5, 6}, []script.Step{page(upsert(1, 4), done()), page(deleted(2, 6), done())}, SyncOptions{},
			"1@4 -2@6", Synced{Generation: 6, Full: 1, Deltas: 1, Records: 2}, nil},
		{"changed before the delta", []uint64{5, 5}, []script.Step{page(upsert(1, 4), done()), page(upsert(2, 7), deleted(1, 8), done())}, SyncOptions{},
			"1@4 2@7 -1@8", Synced{Generation: 8, Full: 1, Deltas: 1, Records: 3}, nil},
		{"a full pass interrupted", []uint64{5, 7}, []script.Step{page(upsert(1, 4)), page(upsert(2, 6)), page(intr), page(upsert(1, 7), done())}, SyncOptions{},
			"1@4 2@6 1@7", Synced{Generation: 7, Full: 1, Deltas: 1, Interrupted: 1, Records: 3}, nil},
		{"deltas interrupted", []uint64{5, 6, 6, 9}, []script.Step{page(done()), page(upsert(1, 6), intr), page(intr), page(upsert(1, 9), done())}, SyncOptions{},
			"1@6 1@9", Synced{Generation: 9, Full: 1, Deltas: 3, Interrupted: 2, Records: 2}, nil},
		{"deleted and made again", []uint64{5, 8}, []script.Step{page(upsert(1, 4), done()), page(deleted(1, 6), upsert(1, 8), done())}, SyncOptions{},
			"1@4 -1@6 1@8", Synced{Generation: 8, Full: 1, Deltas: 1, Records: 3}, nil},
		{"stale", []uint64{5, 9, 9, 9}, []script.Step{page(upsert(1, 4), done()), refused, page(upsert(2, 9), done()), page(done())}, SyncOptions{Reset: func() {}},
			"1@4 reset 2@9", Synced{Generation: 9, Full: 2, Deltas: 2, Stale: 1, Records: 2}, nil},
		{"stale in the middle", []uint64{5, 9, 9, 9}, []script.Step{page(done()), page(upsert(1, 7), stale), page(upsert(2, 9), done()), page(done())}, SyncOptions{Reset: func() {}},
			"1@7 reset 2@9", Synced{Generation: 9, Full: 2, Deltas: 2, Stale: 1, Records: 2}, nil},
		{"stale without Reset", []uint64{5, 9}, []script.Step{page(upsert(1, 4), done()), refused}, SyncOptions{},
			"1@4", Synced{Full: 1, Deltas: 1, Stale: 1, Records: 1}, ErrStale},
		{"stale each time", []uint64{5, 6, 7, 8}, []script.Step{page(done()), refused, page(done()), refused}, SyncOptions{Full: 2, Reset: func() {}},
			"reset reset", Synced{Full: 2, Deltas: 2, Stale: 2}, ErrNotSynced},
		{"stale once too often", []uint64{5, 6, 7, 8, 9, 10}, slices.Repeat([]script.Step{page(done()), refused}, 4), SyncOptions{Reset: func() {}},
			"reset reset reset", Synced{Full: DefaultSyncFull, Deltas: 3, Stale: 3}, ErrStale},
		{"never clean", []uint64{5, 6, 7}, []script.Step{page(intr), page(upsert(1, 6), intr), page(upsert(1, 7), intr)}, SyncOptions{Passes: 3},
			"1@6 1@7", Synced{Generation: 7, Full: 1, Deltas: 2, Interrupted: 3, Records: 2}, ErrNotSynced},
		{"one pass", []uint64{5}, []script.Step{page(done())}, SyncOptions{Passes: 1}, "", Synced{Generation: 5, Full: 1}, ErrNotSynced},
		{"from a generation", []uint64{9}, []script.Step{page(upsert(1, 8), done())}, SyncOptions{Dump: DumpOptions{Since: ptr(uint64(7))}},
			"1@8", Synced{Generation: 9, Deltas: 1, Records: 1}, nil},
		{"from a generation that is stale", []uint64{9, 9, 9}, []script.Step{refused, page(upsert(1, 8), done()), page(done())},
			SyncOptions{Dump: DumpOptions{Since: ptr(uint64(7))}, Reset: func() {}},
			"reset 1@8", Synced{Generation: 9, Full: 1, Deltas: 2, Stale: 1, Records: 1}, nil},
		{"an error in a delta", []uint64{5, 5}, []script.Step{page(upsert(1, 4), done()), page(upsert(2, 6), script.Done(0, unix.EMSGSIZE))}, SyncOptions{},
			"1@4 2@6", Synced{Generation: 5, Full: 1, Deltas: 1, Records: 2}, unix.EMSGSIZE},
		{"ESTALE of a full pass", []uint64{5}, []script.Step{refused}, SyncOptions{Reset: func() {}}, "", Synced{Full: 1}, ErrStale},
		{"no table", nil, nil, SyncOptions{}, "", Synced{}, errAny},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, k := dialTables(t, tt.tables, tt.steps)
			var synced Synced
			var stats nldump.Stats
			tt.o.Synced, tt.o.Dump.Stats = &synced, &stats
			got, err := stream(t.Context(), c, tt.o)
			if got != tt.want || synced != tt.synced || !errors.Is(err, tt.err) && (tt.err != errAny || err == nil) {
				t.Errorf("got %q, %+v, %v\nwant %q, %+v, %v", got, synced, err, tt.want, tt.synced, tt.err)
			}
			if stats.Records != synced.Records || stats.Interrupted != (synced.Interrupted > 0) {
				t.Errorf("stats %+v", stats)
			}
			if len(k.sockets) > 1 {
				t.Errorf("%d sockets", len(k.sockets))
			}
		})
	}
}

// errAny stands for any error of the fake kernel.
var errAny = errors.New("any")

// The error of a Sync that gives up says how far it got, and why.
func TestNotSyncedText(t *testing.T) {
	c, _ := dialTables(t, []uint64{5, 6}, []script.Step{script.Page(done()), script.Page(script.Done(unix.NLM_F_DUMP_INTR, 0))})
	_, err := stream(t.Context(), c, SyncOptions{Passes: 2})
	const want = "not synced after 2 passes (1 full, 0 stale), complete up to generation 6: entry-get: dump interrupted: the table changed meanwhile"
	if err == nil || err.Error() != want || !errors.Is(err, ErrInterrupted) {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

// A delta begins at the generation where the previous dump started, and has the
// given options.
func TestSyncRequests(t *testing.T) {
	needLittleEndian(t)
	c, k := dialTables(t, []uint64{5, 6, 7}, []script.Step{
		script.Page(upsert(3, 9), done()), script.Page(upsert(3, 8), script.Done(unix.NLM_F_DUMP_INTR, 0)), script.Page(done())})
	o := SyncOptions{Dump: DumpOptions{IDFrom: ptr(uint32(3)), Fields: ptr(FieldName), Encoding: EncodingDirect}}
	if _, err := stream(t.Context(), c, o); err != nil {
		t.Fatal(err)
	}
	filter := []byte{uapi.CmdEntryGet, 1, 0, 0, 12, 0, 8, 0x80, 8, 0, 1, 0, 3, 0, 0, 0, 8, 0, 10, 0, 33, 0, 0, 0}
	encoding := []byte{8, 0, 13, 0, 1, 0, 0, 0}
	for i, since := range [][]byte{nil, {8, 0, 11, 0, 5, 0, 0, 0}, {8, 0, 11, 0, 8, 0, 0, 0}} {
		want := slices.Concat(filter, since, encoding)
		if got := k.sockets[0].Sent()[i].Data; !slices.Equal(got, want) {
			t.Errorf("pass %d:\ngot  % x\nwant % x", i, got, want)
		}
	}
	if *o.Dump.Fields != FieldName {
		t.Error("the caller's fields were changed")
	}
}

func TestSyncRefuses(t *testing.T) {
	for _, tt := range []struct {
		o    SyncOptions
		want string
	}{
		{SyncOptions{Dump: DumpOptions{NamePrefix: "x"}}, "of filters, changes know only that by id"},
		{SyncOptions{Dump: DumpOptions{FlagsMask: 1}}, "of filters, changes know only that by id"},
		{SyncOptions{Dump: DumpOptions{Cursor: CursorWalker}}, "the cursor is walker, not key"},
		{SyncOptions{Passes: -1}, "-1 passes, 3 full ones"},
		{SyncOptions{Full: -1}, "100 passes, -1 full ones"},
	} {
		c, k := dialTables(t, nil)
		_, err := stream(t.Context(), c, tt.o)
		if want := "sync: invalid argument: " + tt.want; err == nil || err.Error() != want || !errors.Is(err, unix.EINVAL) {
			t.Errorf("got %v, want %s", err, want)
		}
		if len(k.sockets) > 0 {
			t.Error("a socket was opened")
		}
	}
}

// Another family number means another module, with another table.
func TestSyncModuleLoadedAnew(t *testing.T) {
	anew := func(records ...[]byte) script.Step {
		for _, r := range records[:len(records)-1] { // DONE has another type
			binary.NativeEndian.PutUint16(r[4:], fakeFamily+1)
		}
		return script.Page(records...)
	}
	c, k := dialTables(t, []uint64{5, 6, 6, 6}, []script.Step{
		script.Page(upsert(1, 4), done()), anew(upsert(2, 6), done()), anew(upsert(2, 6), done()), script.Page(done())})
	var synced Synced
	got, err := stream(t.Context(), c, SyncOptions{Synced: &synced, Reset: func() {}}, func(r *Record) {
		if r.ID == 1 {
			k.mu.Lock()
			k.family++
			k.mu.Unlock()
		}
	})
	if want := (Synced{Generation: 6, Full: 2, Deltas: 2, Stale: 1, Records: 3}); synced != want || got != "1@4 2@6 reset 2@6" || err != nil {
		t.Errorf("got %q, %v, %+v, want %+v", got, err, synced, want)
	}
}

func TestSyncBreak(t *testing.T) {
	c, k := dialTables(t, []uint64{5, 6}, []script.Step{script.Page(upsert(1, 4), done()), script.Page(upsert(1, 6)), script.Page(done())})
	synced := Synced{Full: 99}
	n := 0
	for r, err := range c.Sync(t.Context(), SyncOptions{Synced: &synced}) {
		if err != nil {
			t.Fatal(err)
		}
		if n++; r.Generation == 6 {
			break
		}
	}
	if want := (Synced{Generation: 5, Full: 1, Deltas: 1, Records: 2}); n != 2 || synced != want {
		t.Errorf("%d records, %+v, want %+v", n, synced, want)
	}
	if !k.sockets[0].Closed() {
		t.Error("the socket of the abandoned delta is open")
	}
}

func TestSyncCancel(t *testing.T) {
	c, k := dialTables(t, []uint64{5, 6}, []script.Step{script.Page(upsert(1, 4), done()), {Wait: true}})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var synced Synced
	k.dialed = make(chan *script.Socket, 1)
	go func() {
		<-(<-k.dialed).Waiting
		cancel()
	}()
	got, err := stream(ctx, c, SyncOptions{Synced: &synced})
	if got != "1@4" || !errors.Is(err, context.Canceled) || errors.Is(err, ErrNotSynced) || !k.sockets[0].Closed() {
		t.Errorf("%q, %v, closed %v", got, err, k.sockets[0].Closed())
	}
	if want := (Synced{Generation: 5, Full: 1, Deltas: 1, Records: 1}); synced != want {
		t.Errorf("%+v, want %+v", synced, want)
	}
}

// TestSyncNoAlloc compares passes with passes that are fifty times as long.
func TestSyncNoAlloc(t *testing.T) {
	sync := func(pages int) float64 {
		steps := bigDump(pages, 20)
		steps = append(steps[:len(steps):len(steps)], steps...)
		c, _ := dialTables(t, slices.Repeat([]uint64{1}, 60), slices.Repeat([][]script.Step{steps}, 30)...)
		return testing.AllocsPerRun(10, func() {
			n := 0
			for _, err := range c.Sync(t.Context(), SyncOptions{}) {
				if err != nil {
					t.Fatal(err)
				}
				n++
			}
			if n != 2*pages*20 {
				t.Fatalf("%d records", n)
			}
			c.dropIdle()
		})
	}
	few, many := sync(2), sync(100)
	if perRecord := (many - few) / (98 * 40); perRecord > 0.0005 {
		t.Errorf("%v allocations for 80 records, %v for 4000", few, many)
	}
}

// TestAddStats checks that the sum includes every figure.
func TestAddStats(t *testing.T) {
	var one, sum nldump.Stats
	v := reflect.ValueOf(&one).Elem()
	for i := range v.NumField() {
		switch f := v.Field(i); f.Kind() {
		case reflect.Bool:
			f.SetBool(true)
		case reflect.Int:
			f.SetInt(int64(i + 1))
		default:
			f.SetUint(uint64(i + 1))
		}
	}
	addStats(&sum, one)
	if sum != one {
		t.Errorf("got %+v, want %+v", sum, one)
	}
}

// For any input, the snapshot has the same entries as a map would, in order.
func TestSnapshotApplies(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s Snapshot
		want := make(map[uint32]uint64)
		for range rapid.IntRange(0, 60).Draw(t, "records") {
			r := Record{ID: rapid.Uint32Range(0, 9).Draw(t, "id"), Value: rapid.Uint64().Draw(t, "value")}
			if r.ID == 9 {
				r.ID = 1<<32 - 1
			}
			switch rapid.IntRange(0, 20).Draw(t, "kind") {
			case 0:
				s.Reset()
				clear(want)
			case 1:
				checkSnapshot(t, &s, want)
			case 2, 3, 4, 5, 6, 7, 8:
				r.Deleted = true
				s.Apply(&r)
				delete(want, r.ID)
			default:
				s.Apply(&r)
				want[r.ID] = r.Value
			}
		}
		checkSnapshot(t, &s, want)
	})
}

func checkSnapshot(t *rapid.T, s *Snapshot, want map[uint32]uint64) {
	got := s.Entries()
	if !slices.IsSortedFunc(got, func(a, b Entry) int { return cmp.Compare(a.ID, b.ID) }) || len(got) != len(want) {
		t.Fatalf("got %v, want %v", got, want)
	}
	for _, e := range got {
		if value, there := want[e.ID]; !there || e.Value != value || e.Deleted {
			t.Fatalf("got %+v, want %v", e, want)
		}
	}
}

func TestSnapshot(t *testing.T) {
	page := script.Page
	c, _ := dialTables(t, []uint64{5, 9, 9, 9}, []script.Step{
		page(upsert(1, 4), upsert(3, 5), done()), page(script.Done(0, unix.ESTALE)),
		page(entry(0, 2, script.U64(uapi.AttrEntryGeneration, 8), script.Attr(uapi.AttrEntryPayload, []byte("lent"))), upsert(4, 9)), page(done()),
		page(upsert(3, 11), deleted(4, 12), done()),
	})
	resets := 0
	var synced Synced
	s, err := c.Snapshot(t.Context(), SyncOptions{Reset: func() { resets++ }, Synced: &synced})
	if err != nil {
		t.Fatal(err)
	}
	got := s.Entries()
	if len(got) != 2 || got[0].ID != 2 || !bytes.Equal(got[0].Payload, []byte("lent")) || got[1].ID != 3 || got[1].Generation != 11 {
		t.Errorf("got %+v", got)
	}
	if s.Generation != 12 || synced.Generation != 12 || resets != 1 || synced.Stale != 1 {
		t.Errorf("generation %d, %d resets, %+v", s.Generation, resets, synced)
	}
}

func TestSnapshotFails(t *testing.T) {
	c, _ := dialTables(t, []uint64{5, 6}, []script.Step{script.Page(upsert(1, 4), done()), script.Page(script.Done(unix.NLM_F_DUMP_INTR, 0))})
	if s, err := c.Snapshot(t.Context(), SyncOptions{Passes: 2}); s != nil || !errors.Is(err, ErrNotSynced) {
		t.Errorf("got %v, %v", s, err)
	}
}
