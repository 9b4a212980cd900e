// SPDX-License-Identifier: BSD-3-Clause

package test

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"bulkdump/client"
)

// loopShown is what `bulkdump trace -o json` prints.
type loopShown struct {
	Readers []struct {
		PortID uint32 `json:"port_id"`
		Seq    uint32
	}
	Calls   []callShown
	Pages   []pageShown
	Changes []struct {
		At   uint64 `json:"us"`
		What string
		ID   uint32
	}
	Ends []struct{ Abandoned bool }
}

type callShown struct {
	Reader      int
	What        string
	From        uint64 `json:"from_us"`
	To          uint64 `json:"to_us"`
	Bytes       uint32
	Interrupted bool
	Error       string
	RMem        int
	Page        *int
	SetOff      *int `json:"set_off"`
}

type pageShown struct {
	Reader  int
	At      uint64 `json:"us"`
	Records uint32
	Bytes   uint32
	Place   uint64
	RMem    int
	RcvBuf  int
	Last    bool
	By      *int
}

// tracedLoop runs trace while the test traces, too. It checks that both show
// the same, and that nothing is left behind.
func tracedLoop(t *testing.T, c *client.Client, args ...string) loopShown {
	t.Helper()
	tr := trace(t, "dump_page")
	before := traceSettings(t)
	entries := state(t, c).Count
	var l loopShown
	if err := json.Unmarshal([]byte(mustRun(t, append([]string{"trace", "-o", "json"}, args...)...)), &l); err != nil {
		t.Fatal(err)
	}
	if s := checkCounters(t, c); s.Count != entries {
		t.Errorf("%d entries are left, there were %d", s.Count, entries)
	}
	if left, _ := filepath.Glob(filepath.Join(tracefs, "instances", "bulkdump*")); left != nil {
		t.Errorf("left in tracefs: %v", left)
	}
	if after := traceSettings(t); after != before {
		t.Errorf("trace settings %q, before %q", after, before)
	}
	events := tr.events()
	if len(events) != len(l.Pages) {
		t.Fatalf("%d pages, the kernel built %d", len(l.Pages), len(events))
	}
	// Compare in the order of each reader: two readers run on two processors,
	// and the two buffers may compare their clocks differently.
	for reader, r := range l.Readers {
		its := slices.DeleteFunc(slices.Clone(events), func(e traced) bool { return e.number("portid") != int64(r.PortID) })
		for i, p := range l.Pages {
			if p.Reader != reader {
				continue
			}
			if len(its) == 0 {
				t.Fatalf("page %d: shown %+v of %+v, and not traced", i, p, r)
			}
			e := its[0]
			its = its[1:]
			if e.number("seq") != int64(r.Seq) || e.number("records") != int64(p.Records) || e.number("bytes") != int64(p.Bytes) ||
				e.number("place") != int64(p.Place) || e.number("rmem") != int64(p.RMem) || e.number("rcvbuf") != int64(p.RcvBuf) {
				t.Errorf("page %d: shown %+v of %+v, traced %v", i, p, r, e)
			}
		}
	}
	checkLoop(t, l)
	return l
}

// checkLoop compares the output with the kernel's rule. A read removes what it
// fetched. If at most half of the receive buffer is in use then, the next page
// is built in the same call, and otherwise it is not
// (af_netlink.c:netlink_recvmsg).
func checkLoop(t *testing.T, l loopShown) {
	t.Helper()
	for reader := range l.Readers {
		level, half := 0, 0
		var sizes []int // of the pages that wait
		fetched, through := -1, false
		calls := slices.DeleteFunc(slices.Clone(l.Calls), func(c callShown) bool { return c.Reader != reader })
		for i, c := range calls {
			if c.From > c.To || c.Error == "" && (c.Bytes == 0) != (c.What == "send") {
				t.Errorf("%+v", c)
			}
			if c.What == "read" && c.Error == "" && c.Page != nil {
				if *c.Page <= fetched || l.Pages[*c.Page].Reader != reader {
					t.Errorf("%+v after page %d", c, fetched)
				}
				fetched = *c.Page
				level -= sizes[0]
				sizes = sizes[1:]
			}
			switch {
			case c.SetOff != nil:
				p := l.Pages[*c.SetOff]
				half = p.RcvBuf / 2
				if level > half || through || p.Reader != reader || p.By == nil || p.At+1 < c.From || p.At > c.To+1 {
					t.Errorf("with %d bytes of %d, %+v set off %+v", level, half, c, p)
				}
				sizes = append(sizes, p.RMem-level)
				level, through = p.RMem, p.Last
			case !through && level <= half && c.Error == "" && (i+1 == len(calls) || calls[i+1].Error != "ENOBUFS"):
				t.Errorf("with %d bytes of %d, %+v set nothing off", level, half, c)
			}
			if c.RMem != level && !through { // a page with only DONE has no trace event
				t.Errorf("%+v: %d bytes wait, want %d", c, c.RMem, level)
			}
		}
		if !through {
			t.Errorf("reader %d has no last page", reader)
		}
	}
	for i, p := range l.Pages {
		if p.By == nil || *l.Calls[*p.By].SetOff != i {
			t.Errorf("page %d, %+v, was set off by nothing", i, p)
		}
		if n := len(fetches(l, i)); n != 1 {
			t.Errorf("page %d was read %d times", i, n)
		}
	}
}

// fetches returns the reads that took a page.
func fetches(l loopShown, page int) (calls []callShown) {
	for _, c := range l.Calls {
		if c.What == "read" && c.Page != nil && *c.Page == page {
			calls = append(calls, c)
		}
	}
	return calls
}

// records returns how many records a reader got.
func (l *loopShown) records(reader int) (n uint32) {
	for _, p := range l.Pages {
		if p.Reader == reader {
			n += p.Records
		}
	}
	return n
}

func TestTraceSlowReader(t *testing.T) {
	l := tracedLoop(t, setup(t), "--scenario", "slow-reader")
	if len(l.Pages) < 5 || l.records(0) != 400 || l.Pages[len(l.Pages)-1].Place != 400 {
		t.Errorf("%d pages with %d records", len(l.Pages), l.records(0))
	}
	for i, c := range l.Calls[1:] {
		if before := l.Calls[i]; c.From < before.To+20_000 {
			t.Errorf("%+v is not 20 ms after %+v", c, before)
		}
		// One page waits, no more.
		if p := c.Page; p != nil && c.SetOff != nil && *c.SetOff != *p+1 {
			t.Errorf("%+v", c)
		}
	}
}

// A reader that peeks gets ahead, but only up to half of its receive buffer.
func TestTraceSmallBuffer(t *testing.T) {
	l := tracedLoop(t, setup(t), "--scenario", "small-buffer")
	if l.records(0) != 600 {
		t.Errorf("%d records", l.records(0))
	}
	byPeek, kept := 0, 0
	for _, c := range l.Calls {
		if c.What == "peek" && c.SetOff != nil {
			byPeek++
		}
		if c.What == "peek" && c.SetOff == nil && c.RMem > l.Pages[0].RcvBuf/2 {
			kept++
		}
	}
	if byPeek == 0 || kept == 0 {
		t.Errorf("%d peeks set a page off, %d did not for want of room", byPeek, kept)
	}
}

func TestTraceTwoReaders(t *testing.T) {
	l := tracedLoop(t, setup(t), "--scenario", "two-readers")
	if len(l.Readers) != 2 || l.Readers[0].PortID == l.Readers[1].PortID || l.records(0) != 400 || l.records(1) != 400 || len(l.Ends) != 2 {
		t.Errorf("readers %+v with %d and %d records, ends %+v", l.Readers, l.records(0), l.records(1), l.Ends)
	}
}

// The first page that is built after the change is marked, not the one that
// waits at that time.
func TestTraceMidDumpChange(t *testing.T) {
	l := tracedLoop(t, setup(t), "--scenario", "mid-dump-change")
	var what []string
	for _, c := range l.Changes {
		if c.What != "fill" && c.What != "flush" {
			what = append(what, fmt.Sprint(c.What, c.ID))
		}
	}
	if !slices.Equal(what, []string{"del40", "set560", "new721", "del880"}) {
		t.Fatalf("changes %q", what)
	}
	first := slices.IndexFunc(l.Pages, func(p pageShown) bool { return p.At > l.Changes[0].At })
	interrupted := 0
	for _, c := range l.Calls {
		if c.Interrupted {
			interrupted++
		}
	}
	if interrupted != 1 || first < 2 || !fetches(l, first)[0].Interrupted {
		t.Errorf("page %d is the first after the change; %d pages are interrupted: %+v", first, interrupted, l.Calls)
	}
}

// A page that finds no room is reported as ENOBUFS and built later. Nothing is
// lost.
func TestTraceNoRoom(t *testing.T) {
	c := setup(t)
	fill(t, c, client.FillOptions{Count: 2000})
	l := tracedLoop(t, c, "--peek", "--rcvbuf", "16384")
	if l.records(0) != 2000 || !slices.ContainsFunc(l.Calls, func(c callShown) bool { return c.Error == "ENOBUFS" }) {
		t.Errorf("%d records, and no ENOBUFS in %+v", l.records(0), l.Calls)
	}
}

// Text and picture work, too. A table in use is not touched.
func TestTraceFormats(t *testing.T) {
	c := setup(t)
	svg := xml.NewDecoder(strings.NewReader(mustRun(t, "trace", "--scenario", "mid-dump-change", "-o", "svg")))
	var texts strings.Builder
	for {
		token, err := svg.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if data, ok := token.(xml.CharData); ok {
			fmt.Fprintln(&texts, string(data))
		}
	}
	for _, want := range []string{"reader A", "kernel", "queue A", "cursor", "INTR", "DONE", "del 40", "new 721", "rcvbuf/2"} {
		if !strings.Contains(texts.String(), "\n"+want+"\n") {
			t.Errorf("no %q in the picture: %s", want, texts.String())
		}
	}
	fill(t, c, client.FillOptions{Count: 100})
	if got := mustRun(t, "trace"); !strings.Contains(got, "A       sends the request") || !strings.Contains(got, "kernel  page 2 for A, set off by this read") {
		t.Errorf("%s", got)
	}
	if r := bulkdump(t, "trace", "--scenario", "slow-reader"); r.code != 1 || !strings.Contains(r.stderr, "the table is not empty") {
		t.Errorf("%+v", r)
	}
	if s := state(t, c); s.Count != 100 {
		t.Errorf("%d entries are left of 100", s.Count)
	}
}
