// SPDX-License-Identifier: BSD-3-Clause

package check

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"time"

	"bulkdump/cmd/dumpcheck/observe"
)

// sweep are the pages' sizes.
var sweep = []int{small - 320, small, small + 1<<10, small + 2<<10, 8 << 10, 12 << 10, 16 << 10, 24 << 10, 32 << 10}

// checkPages takes the dump with pages of each size. The same records come, with
// the same content.
func checkPages(r *run) {
	s, err := observe.DialFresh(r.Protocol, large)
	if r.failed(err) {
		return
	}
	defer s.Close()
	d := s.Dump(r.Request, r.limits())
	r.form.see(r.Target, d)
	r.same(d, "with a small first page")
	// No record is looked for in here if it may be a part of an object: that has what fits
	// its page.
	var base map[string]observe.Message
	if !r.Key.IsZero() && r.Key.Element == nil {
		base = r.byKey(r.base)
	}
	unlike, split, empty := false, false, false
	found := map[string]*perSize{}
	for i, size := range sweep {
		if size < r.small && r.small == large {
			continue // the family makes larger ones
		}
		if r.late("sizes", i, len(sweep)) {
			break
		}
		d, err := r.dump(r.Request, size)
		if r.failed(err) {
			break
		}
		split = split || len(d.Pages) > 1
		if hollow := r.hollow(d); len(hollow) > 0 && !empty {
			r.find(Note, &d.Records()[hollow[0]], "with pages of %d bytes, an object comes once more, without any element: %s", size, count(len(hollow), "record"))
			empty = true
		}
		for _, v := range r.deviations(d, &r.base, large, fmt.Sprintf("with pages of %d bytes", size)) {
			if found[v.kind] == nil {
				found[v.kind] = &perSize{deviation: v, size: size}
			} else {
				found[v.kind].add(v, size)
			}
		}
		unlike = unlike || r.alike(base, d, size) // other sizes have the like
	}
	for _, kind := range slices.Sorted(maps.Keys(found)) {
		v := found[kind]
		r.deviates(v.deviation, fmt.Sprintf("with pages of %d bytes: %s%s", v.size, v.text, v.others()))
	}
	if !split && len(r.result.Findings) == 0 && r.result.Skipped == "" {
		r.skip("the table is too small: it has 1 page of any size")
	}
}

// perSize is a deviation that is found with pages of some sizes.
type perSize struct {
	deviation       // the worst one
	size      int   // its pages' size
	like      []int // the other sizes with the like
}

func (p *perSize) add(v deviation, size int) {
	if v.n > p.n {
		p.deviation, p.size, size = v, size, p.size
	}
	p.like = append(p.like, size)
}

func (p *perSize) others() string {
	if len(p.like) == 0 {
		return ""
	}
	return fmt.Sprintf("; the like with %s, up to %d bytes", count(len(p.like), "other size"), slices.Max(p.like))
}

// alike finds what a record has with pages of one size only. What changes by itself
// may look so once. So it must be so again.
func (r *run) alike(base map[string]observe.Message, d *observe.Dump, size int) (found bool) {
	if len(r.unlike(base, d, base)) == 0 {
		return false
	}
	before, err := r.dump(r.Request, large)
	if r.failed(err) {
		return false
	}
	now := r.byKey(before)
	once := r.unlike(base, d, now)
	if len(once) == 0 {
		return false
	}
	again, err := r.dump(r.Request, size)
	if r.failed(err) {
		return false
	}
	after, err := r.dump(r.Request, large)
	if r.failed(err) {
		return false
	}
	twice := r.unlike(now, again, r.byKey(after))
	for _, where := range slices.Sorted(maps.Keys(once)) {
		if m, ok := twice[where]; ok {
			r.find(Broken, &m, "with pages of %d bytes, a record differs from that of large pages: %s", size, where)
			r.breaks(23)
			r.compared()
			return true
		}
	}
	return false
}

// unlike returns the parts of records in which a dump differs from the records before
// and behind it that have the same, each with a record that shows it.
func (r *run) unlike(before map[string]observe.Message, d *observe.Dump, after map[string]observe.Message) map[string]observe.Message {
	found := map[string]observe.Message{}
	for _, m := range d.Records() {
		key := r.key(m)
		a, ok := before[key]
		b, also := after[key]
		if !ok || !also || bytes.Equal(a.Data, m.Data) {
			continue
		}
		r.compare3([3]observe.Message{a, m, b}, func(where string, v [3][]byte) {
			if _, ok := found[where]; !ok && bytes.Equal(v[0], v[2]) {
				found[where] = m
			}
		})
	}
	return found
}

// checkCost compares the last pages with the first ones. Other work on the machine makes
// a page slow by chance, so slow pages are looked at more often.
func checkCost(r *run) {
	const rounds, maxRounds, fewest, steep = 5, 30, 12, 3
	var least []time.Duration // of each page, by number
	var first, last time.Duration
	var ratio float64
	for i := 0; i < rounds || i < maxRounds && ratio > steep && time.Now().Before(r.until); i++ {
		d, err := r.dump(r.Request, r.small)
		if r.failed(err) {
			return
		}
		if len(d.Pages) < fewest {
			r.skip("the table is too small: it has %s, want %d", count(len(d.Pages), "page"), fewest)
			return
		}
		for i, p := range d.Pages {
			if i == len(least) {
				least = append(least, p.Wait)
			}
			least[i] = min(least[i], p.Wait)
		}
		// The read of a page makes the next one. So the last makes none.
		n := len(least) / 4
		first, last = mean(least[:n]), mean(least[len(least)-1-n:len(least)-1])
		ratio = float64(last) / float64(first)
	}
	text := fmt.Sprintf("a page at the end takes %.1f times as long as one at the start (%v, %v)",
		ratio, last.Round(time.Microsecond), first.Round(time.Microsecond))
	if ratio > steep {
		r.weak("%s: it looks at all before it", text)
	}
	r.info("%s", text)
}

func mean(d []time.Duration) (sum time.Duration) {
	for _, v := range d {
		sum += v
	}
	return sum / time.Duration(len(d))
}

// most is how large the kernel makes a page for a reader whose buffer is larger: what
// skb_shared_info leaves of 32 KiB (net/netlink/af_netlink.c:netlink_recvmsg).
const most = 32<<10 - 320

// checkFill says how full the pages are.
func checkFill(r *run) {
	d, size := r.base, most
	if len(d.Pages) < 4 {
		var err error
		if d, err = r.dump(r.Request, r.small); r.failed(err) {
			return
		}
		size = r.small
	}
	n := len(d.Pages) - 1 // without the last one
	if n < 3 {
		r.skip("the table is too small: it has %s, want 4", count(n+1, "page"))
		return
	}
	full := 0
	for _, p := range d.Pages[:n] {
		full += p.Len
		size = max(size, p.Len)
	}
	percent := 100 * full / (n * size)
	if percent < 50 {
		r.note("pages of %d bytes are %d %% full: most of each is left free, and the next one is made", size, percent)
	}
	r.info("pages of %d bytes are %d %% full", size, percent)
}
