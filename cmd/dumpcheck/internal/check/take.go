// SPDX-License-Identifier: BSD-3-Clause

package check

import (
	"fmt"
	"os"
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

// keys are the keys of a dump's elements, in order: those of its records, as a rule.
func (r *run) keys(d *observe.Dump) []string {
	keys := make([]string, 0, len(d.Records()))
	for _, m := range d.Records() {
		r.Key.Each(m.Message, r.Header, func(key string) { keys = append(keys, key) })
	}
	return keys
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

// same finds what another dump of the same table has not in common with the first
// one. A table may change by itself. So what is missing must be there in a dump
// before and in one behind, and what is too much in none of them.
func (r *run) same(d *observe.Dump, how string) {
	switch {
	case d.End == observe.Cut:
		r.info("%s: a page has %d bytes", how, d.Pages[len(d.Pages)-1].Len)
		return
	case d.End == observe.Done && d.Errno != 0:
		r.broken("%s: it ends with %v after %s%s", how, d.Errno, count(len(d.Records()), "record"), quoted(d.Text))
		return
	case d.End == observe.Refused:
		r.broken("%s: it ends with an NLMSG_ERROR, %v, after %s%s", how, d.Errno, count(len(d.Records()), "record"), quoted(d.Text))
		return
	case d.End != observe.Done:
		r.broken("%s: it does not come to its end: %s", how, ending(d))
		return
	}
	before, now := r.keys(r.base), r.keys(d)
	if missing, more := difference(before, now); missing+more == 0 {
		return
	}
	again, err := r.dump(r.Request, large)
	if r.failed(err) || !again.Whole() {
		return
	}
	r.base = again
	a, b, behind := counts(before), counts(now), counts(r.keys(again))
	missing, more := 0, 0
	var extra *observe.Message
	for k, n := range a {
		missing += max(min(n, behind[k])-b[k], 0)
	}
	for _, m := range d.Records() {
		r.Key.Each(m.Message, r.Header, func(k string) {
			if b[k] > max(a[k], behind[k]) {
				more += b[k] - max(a[k], behind[k])
				b[k] = 0
				extra = &m
			}
		})
	}
	if missing > 0 {
		r.broken("%s: %d of %d records are missing, and the dump looks whole", how, missing, len(before))
	}
	if more > 0 {
		r.find(Broken, extra, "%s: %d records come twice, or are none of the table's", how, more)
	}
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
		return fmt.Sprintf("%s in %s of %d MiB, and more to come", n, count(len(d.Pages), "page"), d.Bytes>>20)
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
