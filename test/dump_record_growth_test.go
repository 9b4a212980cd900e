// SPDX-License-Identifier: BSD-3-Clause

package test

import (
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"bulkdump/client"
	"bulkdump/client/nldump"
)

// A parkedDump is a dump whose next page has not been built yet.
type parkedDump struct {
	s    *rawSocket
	ids  []uint32 // records so far
	next uint32   // the first id of that page
}

// parkDump reads into the middle of a dump of equal records, whose ids rise by
// one, and calculates the first id of the page that the next read will build.
func parkDump(t testing.TB, c *client.Client) *parkedDump {
	t.Helper()
	fill(t, c, client.FillOptions{Count: 5000, IDStart: 10_000, PayloadMin: 100})
	d := &parkedDump{s: openRaw(t, client.FamilyName, 64<<10)}
	d.s.send(cmdEntryGet, flagDump)
	d.read(t) // on a fresh socket the first page is small
	perPage := len(d.read(t))
	// The third page is already built, and as full as the second.
	d.next = d.ids[len(d.ids)-1] + uint32(perPage) + 1
	return d
}

// read reads a page and returns its messages.
func (d *parkedDump) read(t testing.TB) []nldump.Message {
	t.Helper()
	page, _ := d.s.read()
	for _, m := range page {
		if m.Type == d.s.family {
			d.ids = append(d.ids, idOf(t, m))
		}
	}
	return page
}

// grow makes the entry larger than any page of the dump so far.
func grow(t testing.TB, c *client.Client, id uint32) {
	t.Helper()
	if _, err := c.Set(t.Context(), client.Change{ID: id, Payload: make([]byte, payloadMax)}); err != nil {
		t.Fatal(err)
	}
}

// If a record becomes too large for the page that starts with it, it cannot be
// sent. The dump then ends with an error. It does not end early without one.
// Rules 1, 27.
func TestRecordOutgrowsItsPage(t *testing.T) {
	c := setup(t)
	d := parkDump(t, c)
	grow(t, c, d.next)
	d.read(t) // and the fourth page is built
	last := d.read(t)
	if len(last) != 1 {
		t.Fatalf("%d messages where the record did not fit, want DONE alone", len(last))
	}
	if v := verdictOf(t, last[0]); v.errno != unix.EMSGSIZE || !strings.Contains(v.text, "larger than the page") {
		t.Errorf("dump ended with %v %q, want EMSGSIZE", v.errno, v.text)
	}
	if got := d.ids[len(d.ids)-1]; got != d.next-1 {
		t.Errorf("the last id is %d, want %d", got, d.next-1)
	}
}

// A record that grows before the dump reaches it is sent, on a page made for it.
func TestRecordThatGrowsAheadIsSent(t *testing.T) {
	c := setup(t)
	d := parkDump(t, c)
	grow(t, c, d.next+1)
	for {
		page := d.read(t)
		if last := page[len(page)-1]; last.Type == unix.NLMSG_DONE {
			if v := verdictOf(t, last); v.errno != 0 {
				t.Errorf("dump ended with %v %q", v.errno, v.text)
			}
			break
		}
	}
	for i, id := range d.ids {
		if id != 10_000+uint32(i) {
			t.Fatalf("record %d has id %d", i, id)
		}
	}
	if len(d.ids) != 5000 {
		t.Errorf("%d records, want 5000", len(d.ids))
	}
}

// A page of columns that becomes larger than any at the start of the dump has no more
// records than the dump has room to note.
func TestRecordOutgrowsPagesOfColumns(t *testing.T) {
	const count, most = 20_000, 32 << 10 / 14 // a record without a payload has 14 bytes
	c := setup(t)
	fill(t, c, client.FillOptions{Count: count})
	s := openRaw(t, client.FamilyName, 128<<10)
	s.send(cmdEntryGet, flagDump, attrU32(attrEncoding, uint32(client.EncodingColumns)), attrU32(attrFields, uint32(client.FieldPayload|client.FieldGeneration)))
	grow(t, c, count-1)
	var ids []uint32
	largest := 0
	for _, p := range s.rest(func(int) {}) {
		largest = max(largest, len(p.ids))
		ids = append(ids, p.ids...)
	}
	wantOnceEach(t, "a dump of columns", ids, count)
	if largest != most {
		t.Errorf("the largest page has %d records, want %d", largest, most)
	}
}
