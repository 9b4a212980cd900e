// SPDX-License-Identifier: BSD-3-Clause

package check

import (
	"slices"

	"bulkdump/client/nldump"
	"bulkdump/cmd/dumpcheck/observe"
	"bulkdump/cmd/dumpcheck/target"
)

// checkEnd takes the dump that the other checks compare with, and finds a key of its
// records.
func checkEnd(r *run) {
	d, err := r.dump(r.Request, large)
	for again := 0; again < 4 && err == nil && d.Whole() && d.Interrupted(); again++ { // that of a table at rest, if there is one
		d, err = r.dump(r.Request, large)
	}
	if r.failed(err) {
		return
	}
	switch {
	case d.Whole():
		if r.GivenKey && !r.keyIn(d) {
			r.failed(Inputf("--key: no record has %v, of %d", r.Key.Text(r.Names), len(d.Records())))
			return
		}
		r.base = d
		other, err := r.dump(r.Request, small)
		if r.failed(err) {
			return
		}
		if other.End == observe.Cut { // the family makes larger pages than the reader asks for
			r.small = large
		}
		r.findKey(other)
		r.info("%s in %s", count(len(d.Records()), "record"), count(len(d.Pages), "page"))
	case d.End == observe.Done && len(d.Records()) > 0:
		r.broken("it ends with %v after %s%s", d.Errno, count(len(d.Records()), "record"), quoted(d.Text))
	case refusal(d):
		r.skip("the kernel refuses the request: %v%s", d.Errno, quoted(d.Text))
	case d.End == observe.Acked:
		r.skip("the kernel acknowledges the request, and does not dump")
	case d.End == observe.Failed:
		r.skip("%v", d.Err)
	case d.End == observe.Limited:
		r.failed(Inputf("no end within --max-pages and --max-bytes: %s", ending(d)))
	default:
		if r.broken("it does not come to its end: %s", ending(d)); d.End == observe.Stalled {
			r.breaks(28)
		}
	}
}

// keyIn tells whether the key is in any record.
func (r *run) keyIn(d *observe.Dump) bool {
	return len(d.Records()) == 0 || slices.ContainsFunc(d.Records(), func(m observe.Message) bool { return r.Key.In(m.Message, r.Header) })
}

// findKey looks for a key of the records, in two dumps: if a record that does not fit
// its page comes in parts, it does so elsewhere in each, and only the keys of its
// elements are the same.
func (r *run) findKey(other *observe.Dump) {
	if !r.Key.IsZero() {
		return
	}
	records := different(r.base)
	first := target.FindKey(records, r.Header)
	for _, k := range []target.Key{first, target.FindElement(records, r.Header)} {
		r.Key = k
		if missing, more := difference(r.keys(r.base), r.keys(other)); missing+more == 0 {
			return
		}
	}
	r.Key = first
}

// different are a dump's records without those that came before, byte for byte.
func different(d *observe.Dump) (records []nldump.Message) {
	seen := map[string]bool{}
	for _, m := range d.Records() {
		if !seen[string(m.Data)] {
			seen[string(m.Data)] = true
			records = append(records, m.Message)
		}
	}
	return records
}

// few tells whether the table has too few records for any to come twice, or in another
// order.
func (r *run) few() bool {
	n := len(r.base.Records())
	if n < 2 {
		r.skip("the table is too small: it has %s, want 2", count(n, "record"))
	}
	return n < 2
}

func checkKey(r *run) {
	if r.few() {
		return
	}
	seen := map[string]bool{}
	twice := 0
	var example *observe.Message
	for _, m := range r.base.Records() {
		r.each(m, func(key string) {
			if seen[key] {
				twice++
				example = &m
			}
			seen[key] = true
		})
	}
	if twice > 0 {
		hint := ""
		if r.GivenKey {
			hint = ", or --key does not tell them apart"
		}
		r.find(Broken, example, "%d of %d records come more than once, by %v%s", twice, len(r.base.Records()), r.Key.Text(r.Names), hint)
		r.compared()
	}
	r.info("by %v", r.Key.Text(r.Names))
}
