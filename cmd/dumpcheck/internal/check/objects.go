// SPDX-License-Identifier: BSD-3-Clause

package check

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"bulkdump/cmd/dumpcheck/observe"
)

// The objects that a change adds, and where they are in the dump.

// How many.
const (
	manyObjects = 32
	fewObjects  = 8                     // of a command that is slow
	mostObjects = 512                   // to make a table of a page longer
	slow        = 10 * time.Millisecond // one change: a program, or links, which wait for RCU
)

// objects are those that the changer makes, by number, with the keys that their records
// have, or had when they were there.
type objects struct {
	r    *run
	keys map[int][]string
	most int  // numbers so far
	slow bool // changes take long
	same bool // an object that is added again has the keys that it had

	known   map[string]int    // the keys of the last dump
	content map[string]string // of its records, by key

	part   map[int]bool // an object that is a part of a record
	counts []counter
}

// makeObjects adds objects, and finds the records of each. Close removes them.
func (r *run) makeObjects() (*objects, error) {
	o := &objects{r: r, keys: map[int][]string{}, part: map[int]bool{}}
	if err := o.look(); err != nil {
		return nil, err
	}
	if err := o.add(0); err != nil {
		return o, err
	}
	first := slices.Sorted(slices.Values(o.keys[0]))
	if err := o.remove(0); err != nil {
		return o, err
	}
	took := time.Hour
	for range 3 { // the first one is not typical
		begin := time.Now()
		if err := errors.Join(r.Changer.Add(0), r.Changer.Remove(0)); err != nil {
			return o, err
		}
		took = min(took, time.Since(begin))
	}
	o.slow = took > 2*slow
	few := o.slow && r.GivenChange
	count := manyObjects
	if few {
		count = fewObjects
	}
	for n := range count {
		err := o.add(n)
		if errors.Is(err, errUnseen) { // the dump does not have all
			delete(o.keys, n)
			if err := r.Changer.Remove(n); err != nil {
				return o, err
			}
			continue
		}
		if errors.Is(err, errors.ErrUnsupported) && len(o.keys) > 1 {
			return o, nil // there are no more
		}
		if err != nil {
			return o, err
		}
	}
	o.same = slices.Equal(slices.Sorted(slices.Values(o.keys[0])), first)
	if len(o.keys) < 2 {
		return o, fmt.Errorf("%d objects were added, %w", count, errUnseen)
	}
	if few {
		return o, nil
	}
	// More, if the table is short and that makes it longer.
	for pages := 0; o.most < mostObjects; {
		d, err := r.dump(r.Request, r.small)
		if err != nil || len(d.Pages) > 4 || len(d.Pages) == pages {
			return o, err
		}
		pages = len(d.Pages)
		for range 64 {
			if err := r.Changer.Add(o.most); err != nil {
				return o, err
			}
			o.most++
		}
		if err := o.look(); err != nil {
			return o, err
		}
	}
	return o, nil
}

var errUnseen = errors.New("and the dump is as it was")

// add adds an object, and finds its records: those that come with it.
func (o *objects) add(n int) error {
	if err := o.r.Changer.Add(n); err != nil {
		return err
	}
	o.most = max(o.most, n+1)
	before, content := o.known, o.content
	for _, k := range o.keys[n] { // of when it was there before
		delete(before, k)
	}
	if err := o.look(); err != nil {
		return err
	}
	o.keys[n] = nil
	for k := range o.known {
		if before[k] == 0 {
			o.keys[n] = append(o.keys[n], k)
		}
	}
	if len(o.keys[n]) > 0 {
		return nil
	}
	o.part[n] = true
	for k, c := range o.content {
		if c != content[k] {
			o.keys[n] = append(o.keys[n], k)
		}
	}
	if len(o.keys[n]) == 0 {
		return fmt.Errorf("object %d was added, %w", n, errUnseen)
	}
	return nil
}

// addAgain adds objects that were removed, and finds their records.
func (o *objects) addAgain(gone []int) (err error) {
	if o.same {
		if gone, err = o.addSame(gone); err != nil {
			return err
		}
	}
	for _, n := range gone {
		if err := o.add(n); err != nil {
			return err
		}
	}
	return nil
}

// addSame adds objects whose records should have the keys that they had: one look is
// enough for all. It removes those that do not have them, and returns them.
func (o *objects) addSame(gone []int) (others []int, err error) {
	for _, n := range gone {
		if err := o.r.Changer.Add(n); err != nil {
			return nil, err
		}
	}
	if err := o.look(); err != nil {
		return nil, err
	}
	for _, n := range gone {
		if o.part[n] || slices.ContainsFunc(o.keys[n], func(k string) bool { return o.known[k] == 0 }) {
			others = append(others, n)
		}
	}
	if len(others) == 0 {
		return nil, nil
	}
	for _, n := range others {
		if err := o.r.Changer.Remove(n); err != nil {
			return nil, err
		}
	}
	return others, o.look()
}

// renew finds the records of an object that was changed in place.
func (o *objects) renew(n int) error {
	before := o.known
	if err := o.look(); err != nil {
		return err
	}
	for k := range o.known {
		if before[k] == 0 {
			o.keys[n] = append(o.keys[n], k)
		}
	}
	return nil
}

// trySet changes an object in place, twice: a command may give it the same value each time.
func (o *objects) trySet() error {
	n := slices.Min(slices.Collect(maps.Keys(o.keys)))
	for range 2 {
		if err := o.look(); err != nil {
			return err
		}
		before := o.content
		if err := o.r.Changer.Set(n); err != nil {
			return err
		}
		if err := o.renew(n); err != nil {
			return err
		}
		if !slices.ContainsFunc(o.keys[n], func(k string) bool { return o.content[k] != before[k] }) {
			return Inputf("--change with OP=set N=%d: the record is as it was: it must get another value each time", n)
		}
	}
	return nil
}

// remove removes an object. Its records must be gone.
func (o *objects) remove(n int) error {
	if err := o.r.Changer.Remove(n); err != nil {
		return err
	}
	if err := o.look(); err != nil {
		return err
	}
	for _, k := range o.keys[n] {
		if o.known[k] > 0 && !o.part[n] {
			text := "a record is still there after it was removed"
			if o.r.GivenChange {
				text += ", if --change has removed it"
			}
			if o.r.once(Weak, text) {
				o.r.breaks(30)
				o.r.compared()
			}
		}
	}
	return nil
}

// look takes a dump, and counts its keys.
func (o *objects) look() error {
	d, err := o.r.dump(o.r.Request, large)
	if err != nil {
		return err
	}
	if !d.Whole() {
		return errors.New(ending(d))
	}
	o.known, o.content = map[string]int{}, map[string]string{}
	for _, m := range d.Records() {
		o.r.each(m, func(k string) {
			o.known[k]++
			o.content[k] = string(m.Data)
		})
	}
	return nil
}

// owners are the objects by the keys of their records.
func (o *objects) owners() map[string]int {
	by := map[string]int{}
	for n, keys := range o.keys {
		for _, k := range keys {
			by[k] = n
		}
	}
	return by
}

// among returns an object that has a record among these.
func among(owners map[string]int, keys []string) (n int, ok bool) {
	for _, k := range keys {
		if n, ok := owners[k]; ok {
			return n, true
		}
	}
	return 0, false
}

// close removes all objects.
func (o *objects) close() {
	for n := range o.most {
		o.r.Changer.Remove(n) // of those that are there
	}
}

// random is one of the objects, there or not.
func (o *objects) random() int {
	numbers := slices.Sorted(maps.Keys(o.keys))
	return numbers[rand.IntN(len(numbers))]
}

// another is one of the objects that are there, but for n.
func (o *objects) another(n int) int {
	for _, other := range slices.Sorted(maps.Keys(o.keys)) {
		if other != n {
			return other
		}
	}
	return n
}

// A counter is an attribute that says how many attributes are in a nest.
type counter struct{ number, nest uint16 }

// counters finds those of the target: they are right in all records, and not the same
// number in all.
func counters(r *run, d *observe.Dump) []counter {
	right := map[counter]map[int]bool{} // the numbers
	wrong := map[counter]bool{}
	for _, m := range d.Records() {
		eachCounter(r, m, func(c counter, says, has int) {
			if says != has {
				wrong[c] = true
				return
			}
			if right[c] == nil {
				right[c] = map[int]bool{}
			}
			right[c][says] = true
		})
	}
	var found []counter
	for c, numbers := range right {
		if !wrong[c] && len(numbers) > 1 {
			found = append(found, c)
		}
	}
	return found
}

// eachCounter calls a function with each pair of a number and a nest in a record.
func eachCounter(r *run, m observe.Message, pair func(c counter, says, has int)) {
	if r.Header < 0 || len(m.Data) < r.Header {
		return
	}
	attrs := split(m.Data[r.Header:])
	for _, nest := range attrs {
		if nest.typ&unix.NLA_F_NESTED == 0 {
			continue
		}
		has := len(split(nest.value))
		for _, n := range attrs {
			if n.typ&unix.NLA_F_NESTED == 0 && len(n.value) == 4 {
				pair(counter{n.typ, nest.typ &^ flags}, int(binary.NativeEndian.Uint32(n.value)), has)
			}
		}
	}
}

// paged are the keys of a dump by page.
func (r *run) paged(d *observe.Dump) [][]string {
	pages := make([][]string, len(d.Pages))
	for i, p := range d.Pages {
		for _, m := range p.Messages {
			if m.Record() {
				r.each(m, func(k string) { pages[i] = append(pages[i], k) })
			}
		}
	}
	return pages
}
