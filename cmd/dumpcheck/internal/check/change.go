// SPDX-License-Identifier: BSD-3-Clause

package check

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"bulkdump/cmd/dumpcheck/observe"
)

// The check of a dump whose table changes meanwhile: records that nobody touched come
// exactly once, and the change is told.
//
// The kernel makes the next page when one is read. So when p pages were read, p+1 are
// made, and the cursor is behind the last record of page p+1.

// What happens to a record.
const (
	removed = "removed"
	added   = "added"
	set     = "changed in place"
	swapped = "removed and another one added"
	allGone = "removed with all behind it"
)

// Where in the dump it happens.
const (
	atStart  = "before the first page is read"
	atFirst  = "after the first page"
	atMiddle = "in the middle"
	atEnd    = "before the last page is made"
	atCursor = "between two pages"
)

// Where the record is.
const (
	sent   = "in a page already made"
	cursor = "the last of a page already made"
	next   = "the first of the next page"
	toCome = "in a page still to be made"
)

// A tally counts dumps with the same fault, and keeps the first one's text: of those that
// are not marked, if there are any.
type tally struct {
	n, marked int
	first     string
}

// Faults of a dump.
const (
	noEnd = iota
	missing
	repeated
	miscounted
	unending
	faults
)

// changes counts what was told, and what was not.
type changes struct {
	*objects
	found        [faults]tally
	told, silent map[string][]string
	tried        map[string]bool // the kinds of changes
	dumps        int             // with a change
	changed      int
	noSet        bool // nothing is changed in place
}

func checkChange(r *run) {
	if r.Changer == nil {
		hint := ""
		if r.CanFill() {
			hint = ", or as root, without --here, let dumpcheck make a table that it can change"
		}
		r.skip("nothing changes the table: give a command with --change%s", hint)
		return
	}
	if r.GivenChange && len(r.base.Records()) == 0 && r.Key.IsZero() {
		r.failed(Inputf("--change: the table is empty, so no key is known: fill it first, or give a --key"))
		return
	}
	if r.Key.IsZero() {
		r.skip("no attributes tell the records apart: give some with --key")
		return
	}
	o, err := r.makeObjects()
	if o != nil {
		defer o.close()
	}
	switch {
	case errors.Is(err, errUnseen) && r.GivenChange && r.GivenKey:
		err = Inputf("--change: %w, or --key does not tell its record from others", err)
	case errors.Is(err, errUnseen) && r.GivenChange:
		err = Inputf("--change: %w", err)
	case errors.Is(err, errors.ErrUnsupported) && r.GivenChange:
		err = InputError{err}
	}
	if r.failed(err) {
		return
	}
	limit := r.Options.Check
	if o.slow {
		limit *= 3
	}
	r.until = time.Now().Add(limit) // the objects took their time
	d, err := r.dump(r.Request, large)
	if r.failed(err) {
		return
	}
	o.counts = counters(r, d)
	c := &changes{objects: o, told: map[string][]string{}, silent: map[string][]string{}, tried: map[string]bool{}}
	if r.GivenChange {
		if err := o.trySet(); err != nil {
			c.noSet = true
			switch {
			case errors.Is(err, errUnseenSet):
				r.info("%v", err)
			case !errors.Is(err, errors.ErrUnsupported):
				r.failed(err)
			}
		}
	}
	if !c.tryAll() && r.result.Skipped == "" {
		r.skip("not all kinds of changes were tried in %v, but %d: give a longer --check-time", limit, c.dumps)
	}
	for _, what := range []string{removed, added, set, swapped} {
		if !c.tried[what] && !(what == set && c.noSet) && r.result.Skipped == "" {
			r.info("a record that is %s: no object lies where that could be tried", what)
		}
	}
	// What only shows when all borders have changes has its time, however slow those were.
	if end := time.Now().Add(limit / 3); end.After(r.until) {
		r.until = end
	}
	if err := errors.Join(c.lastGone(), c.churn()); err != nil {
		r.failed(err)
	} else {
		r.info("%s in %s", count(c.changed, "change"), count(c.dumps, "dump"))
	}
	for fault, t := range c.found {
		if t.n == 0 {
			continue
		}
		text, severity := t.first, Broken
		if t.n > 1 {
			text += fmt.Sprintf("; the like in %d of %d dumps", t.n, c.dumps)
		}
		if t.marked == t.n { // a reader knows that it must read again
			severity = Weak
			text += ", with NLM_F_DUMP_INTR: while changes go on, no dump has all records"
		}
		if r.find(severity, nil, "%s", text); fault == missing || fault == repeated {
			r.compared()
		}
		r.breaks([faults]int{noEnd: 5, missing: 3, repeated: 3, miscounted: 29, unending: 4}[fault])
	}
	for _, what := range []string{removed, added, set, swapped, allGone} {
		switch at := c.silent[what]; {
		case at == nil:
		case c.told[what] == nil:
			r.weak("nothing tells that a record was %s (NLM_F_DUMP_INTR), in %s", what, count(len(at), "dump"))
			r.breaks(8)
			r.compared()
		default:
			r.weak("a record that was %s is told of in %s, and in %d it is not: %s", what, count(len(c.told[what]), "dump"), len(at), strings.Join(at[:min(3, len(at))], "; "))
			r.breaks(8)
			r.compared()
		}
	}
}

// tryAll makes each change at each place, as far as the time allows. The cursor comes
// first: that is where most bugs are.
func (c *changes) tryAll() (all bool) {
	borders, places := []string{atStart, atFirst, atMiddle, atEnd}, []string{sent, toCome}
	try := func(border, place string, what ...string) bool {
		for _, w := range what {
			if w == set && c.noSet {
				continue
			}
			if c.r.ctx.Err() != nil || time.Now().After(c.r.until) {
				return false
			}
			err := c.try(w, border, place)
			wrong := errors.As(err, new(InputError))
			if err == nil || errors.Is(err, errors.ErrUnsupported) && !wrong {
				continue
			}
			c.r.failed(err)
			if w != set || !wrong { // a set that fails has changed nothing
				return false
			}
		}
		return true
	}
	if !try(atCursor, cursor, removed, set) || !try(atCursor, next, removed, added) {
		return false
	}
	for _, border := range borders {
		for _, place := range places {
			if !try(border, place, removed, added, set) {
				return false
			}
		}
		if !try(border, sent, swapped) {
			return false
		}
	}
	return true
}

// A layout is how the records of a dump lie in its pages.
type layout struct {
	buffer int        // that makes the pages
	pages  [][]string // keys
	last   int        // page with a record: up to that one a change can be told
}

// A spot is a border between pages, and an object that may change there.
type spot struct {
	layout
	read   int // pages
	object int
}

// find finds a spot.
func (c *changes) findSpot(border, place string) (s spot, ok bool, err error) {
	// A record at the border itself may not change. So other pages are tried.
	buffers := []int{c.r.small}
	if border == atCursor {
		for i := range 16 {
			buffers = append(buffers, c.r.small+(i+1)*52)
		}
	}
	owners := c.owners()
	for _, buffer := range buffers {
		l, err := c.layout(buffer)
		if err != nil {
			return s, false, err
		}
		reads := []int{0}
		switch border {
		case atFirst:
			reads = []int{1}
		case atMiddle:
			reads = []int{l.last / 2}
		case atEnd:
			reads = []int{l.last - 1}
		case atCursor:
			for read := 1; read < l.last; read++ {
				reads = append(reads, read)
			}
		}
		for _, read := range reads {
			if n, ok := among(owners, at(l.pages, read, place)); ok {
				return spot{l, read, n}, true, nil
			}
		}
	}
	return s, false, nil
}

// layout takes a dump.
func (c *changes) layout(buffer int) (layout, error) {
	l := layout{buffer: buffer}
	d, err := c.r.dump(c.r.Request, buffer)
	if err != nil {
		return l, err
	}
	l.pages = c.r.paged(d)
	for i := range l.pages {
		if len(l.pages[i]) > 0 {
			l.last = i
		}
	}
	if l.last < 2 {
		return l, fmt.Errorf("the table is too small: it has %s, want 3", count(len(l.pages), "page"))
	}
	return l, nil
}

// try makes a change, of a record at the place, if there is one that may change.
func (c *changes) try(what, border, place string) error {
	s, ok, err := c.findSpot(border, place)
	if err != nil || !ok {
		return err
	}
	n := s.object
	switch what {
	case removed:
		err = c.during(what, border, place, s, c.keys[n], func() error { return c.r.Changer.Remove(n) })
		return errors.Join(err, c.add(n)) // its key may be another one now
	case set:
		err = c.during(what, border, place, s, c.keys[n], func() error { return c.r.Changer.Set(n) })
		return errors.Join(err, c.renew(n))
	case added:
		touched := c.keys[n]
		if err := c.remove(n); err != nil {
			return err
		}
		if err := c.again(&s); err != nil {
			return err
		}
		err = c.during(what, border, place, s, touched, func() error { return c.r.Changer.Add(n) })
		return errors.Join(err, c.r.Changer.Remove(n), c.add(n))
	}
	other := c.another(n)
	touched := slices.Concat(c.keys[n], c.keys[other])
	if err := c.remove(other); err != nil {
		return err
	}
	if err := c.again(&s); err != nil {
		return err
	}
	err = c.during(what, border, place, s, touched, func() error {
		return errors.Join(c.r.Changer.Remove(n), c.r.Changer.Add(other))
	})
	return errors.Join(err, c.r.Changer.Remove(other), c.add(n), c.add(other))
}

// at are the records at a place, when so many pages were read.
func at(pages [][]string, read int, place string) []string {
	switch made := pages[read]; place {
	case sent:
		return slices.Concat(pages[:read+1]...)
	case cursor:
		return made[max(len(made)-1, 0):]
	case next:
		return pages[read+1][:min(1, len(pages[read+1]))]
	}
	return slices.Concat(pages[read+1:]...)
}

// again takes the layout again, when a record of it was removed.
func (c *changes) again(s *spot) (err error) {
	s.layout, err = c.layout(s.buffer)
	s.read = min(s.read, s.last-1)
	return err
}

// during takes a dump, and changes the table at a spot. All records but those touched
// must come exactly once.
func (c *changes) during(what, border, place string, s spot, touched []string, change func() error) error {
	changed := false
	var failed error
	d, err := c.r.during(c.r.Request, s.buffer, func(pages int) error {
		if pages == s.read && !changed {
			changed = true
			failed = change()
		}
		return failed
	})
	if err := errors.Join(err, failed); err != nil {
		return err
	}
	if !changed {
		return nil // it was shorter than the one before
	}
	c.dumps++
	c.changed++
	c.tried[what] = true
	how := fmt.Sprintf("a record (%s) is %s %s", place, what, border)
	if !c.whole(d, how) {
		return nil
	}
	c.exactlyOnce(d, counts(slices.Concat(s.pages...)), touched, how)
	if d.Interrupted() {
		c.told[what] = append(c.told[what], how)
	} else {
		c.silent[what] = append(c.silent[what], how)
	}
	return nil
}

func (c *changes) find(fault int, marked bool, format string, a ...any) {
	t := &c.found[fault]
	if t.n++; t.n == 1 || t.n == t.marked+1 && !marked {
		t.first = fmt.Sprintf(format, a...)
	}
	if marked {
		t.marked++
	}
}

func (c *changes) whole(d *observe.Dump, how string) bool {
	switch {
	case d.Whole():
		return true
	case refusal(d):
		c.find(noEnd, false, "%s: the dump ends with %v%s", how, d.Errno, quoted(d.Text))
	default:
		c.find(noEnd, false, "%s: the dump does not come to its end: %s", how, ending(d))
	}
	return false
}

// exactlyOnce finds records that are missing or come twice, of those that nobody
// touched. What is missing must be there afterwards, because a table may change by
// itself, too.
func (c *changes) exactlyOnce(d *observe.Dump, stable map[string]int, touched []string, how string) {
	got := counts(c.r.keys(d))
	var lost []string
	twice := 0
	for k, n := range stable {
		switch {
		case slices.Contains(touched, k):
		case got[k] < n:
			lost = append(lost, k)
		}
	}
	for k, n := range got {
		if n > max(stable[k], 1) {
			twice++
		}
	}
	for _, m := range c.counted(d) {
		eachCounter(c.r, m, func(x counter, says, has int) {
			if says != has && slices.Contains(c.counts, x) {
				c.find(miscounted, false, "%s: %s says that there are %d in %s, and there are %d",
					how, nameOf(c.r.Target, []uint16{x.number}), says, nameOf(c.r.Target, []uint16{x.nest}), has)
			}
		})
	}
	if len(lost) > 0 {
		if c.look() != nil {
			return
		}
		lost = slices.DeleteFunc(lost, func(k string) bool { return c.known[k] == 0 })
	}
	if len(lost) > 0 {
		c.find(missing, d.Interrupted(), "%s: other records are missing, %d of %d", how, len(lost), len(stable))
	}
	if twice > 0 {
		c.find(repeated, d.Interrupted(), "%s: records come twice, %d of %d", how, twice, len(stable))
	}
}

// lastGone removes all that is to come, so that NLMSG_DONE has no record before it to
// tell of the change. It needs a table whose last records may all be removed.
func (c *changes) lastGone() error {
	l, err := c.layout(c.r.small)
	if err != nil {
		return err
	}
	owners := c.owners()
	gone := map[int]bool{}
	for _, k := range l.pages[l.last] {
		n, ok := owners[k]
		if !ok {
			return nil
		}
		gone[n] = true
	}
	err = c.during(allGone, atEnd, toCome, spot{layout: l, read: l.last - 1}, l.pages[l.last], func() (err error) {
		for n := range gone {
			err = errors.Join(err, c.r.Changer.Remove(n))
		}
		return err
	})
	for n := range gone {
		err = errors.Join(err, c.add(n))
	}
	return err
}

// counted are the records with counters.
func (c *changes) counted(d *observe.Dump) []observe.Message {
	if len(c.counts) == 0 {
		return nil
	}
	return d.Records()
}
