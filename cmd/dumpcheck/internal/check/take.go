// SPDX-License-Identifier: BSD-3-Clause

package check

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"bulkdump/client/nldump"
	"bulkdump/cmd/dumpcheck/observe"
)

// How the checks take dumps, and compare two of them.

// large is a buffer that makes the kernel's pages as large as they get, and that holds
// those of a family that makes larger ones (min_dump_alloc).
const large = 256 << 10

// small makes the kernel's pages as small as they get, but for the first page of a
// fresh socket: NLMSG_GOODSIZE is a bit less (include/linux/netlink.h).
var small = min(os.Getpagesize(), 8<<10)

// open opens a socket whose pages have the size.
func (r *run) open(buffer int) (*observe.Socket, error) { return observe.Dial(r.Protocol, buffer) }

// dump takes one dump on a socket of its own.
func (r *run) dump(request nldump.Message, buffer int) (*observe.Dump, error) {
	return r.during(request, buffer, nil)
}

// during is dump with a function that is called between the pages.
func (r *run) during(request nldump.Message, buffer int, between func(pages int) error) (*observe.Dump, error) {
	s, err := r.open(buffer)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	l := r.limits()
	l.Between = between
	d := s.Dump(request, l)
	r.form.see(r.Target, d)
	if err := r.tooMuch(d); err != nil {
		return nil, err
	}
	slowest := d.Sending
	for _, p := range d.Pages {
		slowest = max(slowest, p.Wait)
	}
	if slowest > r.slowest {
		r.slow, r.slowest = request, slowest
	}
	return d, nil
}

func (r *run) limits() observe.Limits {
	return observe.Limits{Page: r.Wait, Bytes: r.Bytes, Pages: r.Pages}
}

// tooMuch is the error of a dump that is larger than the user allows. One that is many
// times as large as the first one does not end by itself.
func (r *run) tooMuch(d *observe.Dump) error {
	if d.End != observe.Limited || r.base == nil || d.Bytes > 4*r.base.Bytes {
		return nil
	}
	return Inputf("--max-pages or --max-bytes is less than this dump has with small pages: %s", ending(d))
}

// keys are the keys of a dump's elements, in order: those of its records, as a rule.
func (r *run) keys(d *observe.Dump) []string {
	keys := make([]string, 0, len(d.Records()))
	hollow := r.hollow(d)
	for i, m := range d.Records() {
		if !slices.Contains(hollow, i) {
			r.each(m, func(key string) { keys = append(keys, key) })
		}
	}
	return keys
}

// hollow are the records of a dump, by number, that have an object without any element
// while others have elements of it: what is left of a part that did not fit its page.
func (r *run) hollow(d *observe.Dump) (numbers []int) {
	if r.Key.Element == nil {
		return nil
	}
	object := r.Key
	object.Element = nil
	elements := map[string]bool{} // of an object
	for _, with := range []bool{true, false} {
		for i, m := range d.Records() {
			if r.Key.HasElements(m.Message, r.Header) != with {
				continue
			}
			switch key, _ := object.Of(m.Message, r.Header); {
			case with:
				elements[key] = true
			case elements[key]:
				numbers = append(numbers, i)
			}
		}
	}
	return numbers
}

// each calls a function with the key of each element of a record. What moves by itself
// is in no key.
func (r *run) each(m observe.Message, f func(key string)) {
	still := m.Message
	if still.Data = r.Still(m.Data); still.Data != nil {
		r.Key.Each(still, r.Header, f)
	}
}

// key is what tells a record from all others: those of its elements together.
func (r *run) key(m observe.Message) string {
	var all []string
	r.Key.Each(m.Message, r.Header, func(key string) { all = append(all, key) })
	if len(all) == 1 {
		return all[0]
	}
	return strings.Join(all, "\x00")
}

// byKey are a dump's records by their keys. A key that comes twice tells nothing.
func (r *run) byKey(d *observe.Dump) map[string]observe.Message {
	records := make(map[string]observe.Message, len(d.Records()))
	twice := map[string]bool{}
	for _, m := range d.Records() {
		key := r.key(m)
		if _, ok := records[key]; ok {
			twice[key] = true
		}
		records[key] = m
	}
	for key := range twice {
		delete(records, key)
	}
	return records
}

// counts says how often each key comes.
func counts(keys []string) map[string]int {
	c := make(map[string]int, len(keys))
	for _, k := range keys {
		c[k]++
	}
	return c
}

// difference counts what comes in a more often than in b, and the other way.
func difference(a, b []string) (missing, more int) {
	in := counts(a)
	for _, k := range b {
		in[k]--
	}
	for _, n := range in {
		missing += max(n, 0)
		more += max(-n, 0)
	}
	return missing, more
}

// A deviation is something in which a dump differs from its table.
type deviation struct {
	kind   string
	text   string
	n      int              // how many records it is about; 0 is none in particular
	record *observe.Message // an example, or nil
}

// same finds in what a dump differs from the first one.
func (r *run) same(d *observe.Dump, how string) { r.sameAs(&r.base, large, d, how) }

func (r *run) sameAs(last **observe.Dump, buffer int, d *observe.Dump, how string) {
	for _, v := range r.deviations(d, last, buffer, how) {
		r.deviates(v, how+": "+v.text)
	}
}

// deviates finds a deviation.
func (r *run) deviates(v deviation, text string) {
	if r.find(Broken, v.record, "%s", text); v.n > 0 {
		r.compared()
	}
}

// takeAlone takes a dump with small pages while no other one runs, if there is none yet.
func (r *run) takeAlone() (ok bool) {
	if r.alone != nil {
		return true
	}
	d, err := r.dump(r.Request, r.small)
	if r.failed(err) {
		return false
	}
	r.alone = d
	return true
}

// sameAlone finds in what a dump with small pages differs from one that is alone. What
// small pages do to that one is for checkPages to find.
func (r *run) sameAlone(d *observe.Dump, how string) {
	if !r.takeAlone() {
		return
	}
	if !r.alone.Whole() {
		r.skip("with small pages, the dump is not whole even alone: %s", ending(r.alone))
		return
	}
	r.sameAs(&r.alone, r.small, d, how)
}

// deviations compares a dump with the last one of its table. A table may change by
// itself. So what is missing must be there in the last one and in one behind, which is
// the last one from then on, and what is too much in none of them.
func (r *run) deviations(d *observe.Dump, last **observe.Dump, buffer int, how string) (all []deviation) {
	records := count(len(d.Records()), "record")
	if r.failed(r.tooMuch(d)) {
		return nil
	}
	switch {
	case d.End == observe.Cut:
		r.info("%s: a page has %d bytes", how, d.Pages[len(d.Pages)-1].Len)
		return nil
	case d.End == observe.Done && d.Errno != 0:
		return []deviation{{kind: "error", text: fmt.Sprintf("it ends with %v after %s%s", d.Errno, records, quoted(d.Text))}}
	case d.End == observe.Refused:
		return []deviation{{kind: "refused", text: fmt.Sprintf("it ends with an NLMSG_ERROR, %v, after %s%s", d.Errno, records, quoted(d.Text))}}
	case d.End != observe.Done:
		return []deviation{{kind: "no end", text: "it does not come to its end: " + ending(d)}}
	}
	before, now := r.keys(*last), r.keys(d)
	if missing, more := difference(before, now); missing+more == 0 {
		return nil
	}
	again, err := r.dump(r.Request, buffer)
	if r.failed(err) || !again.Whole() {
		return nil
	}
	*last = again
	a, b, behind := counts(before), counts(now), counts(r.keys(again))
	missing, more := 0, 0
	var extra *observe.Message
	for k, n := range a {
		missing += max(min(n, behind[k])-b[k], 0)
	}
	for _, m := range d.Records() {
		r.each(m, func(k string) {
			if b[k] > max(a[k], behind[k]) {
				more += b[k] - max(a[k], behind[k])
				b[k] = 0
				extra = &m
			}
		})
	}
	if missing > 0 {
		all = append(all, deviation{kind: "missing", n: missing,
			text: fmt.Sprintf("records are missing, %d of %d, and the dump looks whole", missing, len(before))})
	}
	if more > 0 {
		all = append(all, deviation{kind: "more", n: more, record: extra,
			text: fmt.Sprintf("records come twice, or are none of the table's: %d", more)})
	}
	return all
}

// ending says how a dump ended that did not end well.
func ending(d *observe.Dump) string {
	n := count(len(d.Records()), "record")
	switch d.End {
	case observe.Endless:
		if d.Cycle == 1 {
			return fmt.Sprintf("each of its %d pages is like the one before", len(d.Pages))
		}
		return fmt.Sprintf("it repeats itself every %d pages", d.Cycle)
	case observe.Limited:
		return fmt.Sprintf("%s in %s with %s, and more to come", n, count(len(d.Pages), "page"), count(d.Bytes, "byte"))
	case observe.Cut:
		return fmt.Sprintf("a page of %d bytes does not fit the buffer", d.Pages[len(d.Pages)-1].Len)
	case observe.Stalled:
		return fmt.Sprintf("no page comes after %s", n)
	case observe.Failed:
		return fmt.Sprintf("%v after %s", d.Err, n)
	}
	return fmt.Sprintf("%s after %s", d.End, n)
}

// count is a number of things.
func count(n int, thing string) string {
	if n != 1 {
		thing += "s"
	}
	return fmt.Sprintf("%d %s", n, thing)
}

func quoted(text string) string {
	if text == "" {
		return ""
	}
	return fmt.Sprintf(": %q", text)
}

// refusal tells whether a request was refused, and with what.
func refusal(d *observe.Dump) (refused bool) {
	return d.End == observe.Refused || d.End == observe.Done && d.Errno != 0
}
