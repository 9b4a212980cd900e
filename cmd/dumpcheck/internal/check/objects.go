// SPDX-License-Identifier: BSD-3-Clause

package check

import (
	"context"
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
		switch {
		case errors.Is(err, errors.ErrUnsupported) && len(o.keys) > 1:
			return o, nil // there are no more
		case errors.Is(err, errors.ErrUnsupported) && n > 0:
			return o, fmt.Errorf("two objects are needed: %w", err)
		case err != nil:
			return o, err
		}
	}
	// A command may give an object the key that another one had.
	o.same = !r.GivenChange && slices.Equal(slices.Sorted(slices.Values(o.keys[0])), first)
	if len(o.keys) < 2 {
		return o, fmt.Errorf("%d objects were added, %w", count, errUnseen)
	}
	if few {
		return o, nil
	}
	// More, if the table is short and that makes it longer.
	for records := 0; o.most < mostObjects; {
		d, err := r.dump(r.Request, r.small)
		if err != nil || len(d.Pages) > 4 || len(d.Records()) <= records {
			return o, err
		}
		records = len(d.Records())
		for range 64 {
			if err := o.make(o.most); errors.Is(err, errors.ErrUnsupported) {
				return o, o.look() // there are no more
			} else if err != nil {
				return o, err
			}
		}
		if err := o.look(); err != nil {
			return o, err
		}
	}
	return o, nil
}

var errUnseen = errors.New("and the dump is as it was")

// make adds an object. It is one of those that close removes, also if a command that
// fails, or hangs, has added it.
func (o *objects) make(n int) error {
	most := o.most
	o.most = max(o.most, n+1)
	err := o.r.Changer.Add(n)
	if errors.Is(err, errors.ErrUnsupported) {
		o.most = most
	}
	return err
}

// add adds an object, and finds its records: those that come with it.
func (o *objects) add(n int) error {
	if o.r.GivenChange { // an object may have the keys now that this one had
		if err := o.look(); err != nil {
			return err
		}
	} else {
		for _, k := range o.keys[n] { // of when it was there before
			delete(o.known, k)
		}
	}
	before, content := o.known, o.content
	if err := errors.Join(o.make(n), o.look()); err != nil {
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
	if err := o.findPart(n, content); err != nil {
		return err
	}
	if len(o.keys[n]) == 0 {
		return fmt.Errorf("object %d was added, %w", n, errUnseen)
	}
	return nil
}

// findPart finds the records that an object is a part of, if they were like this before
// it was added: they are other ones with it, and what they were without it. An age, or a
// count of bytes, does not go back.
func (o *objects) findPart(n int, before map[string]string) error {
	with := o.content
	if maps.Equal(with, before) {
		return nil
	}
	if err := errors.Join(o.r.Changer.Remove(n), o.look()); err != nil {
		return err
	}
	without := o.content
	if err := errors.Join(o.make(n), o.look()); err != nil {
		return err
	}
	for k, c := range with {
		if c != before[k] && without[k] == before[k] && o.content[k] != before[k] {
			o.keys[n] = append(o.keys[n], k)
		}
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
		before, begin := o.content, time.Now()
		if err := o.r.Changer.Set(n); err != nil {
			return err
		}
		took := time.Since(begin)
		if err := o.renew(n); err != nil {
			return err
		}
		changed := func() bool {
			return slices.ContainsFunc(o.keys[n], func(k string) bool { return o.content[k] != before[k] })
		}
		if !changed() {
			return Inputf("--change with OP=set N=%d: the record is as it was: it must get another value each time", n)
		}
		// Does it also change in that time if nobody sets it?
		before = o.content
		time.Sleep(took)
		if err := o.look(); err != nil {
			return err
		}
		if changed() {
			return errUnseenSet
		}
	}
	return nil
}

// errUnseenSet says that nobody can see what a set does.
var errUnseenSet = errors.New("the records change by themselves, so what OP=set does is not seen")

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

// close removes all objects that are there. If the command hangs, it does so for others,
// too.
func (o *objects) close() {
	hung := 0
	for n := 0; n < o.most && hung < 2; n++ {
		if err := o.r.Changer.Remove(n); errors.Is(err, context.DeadlineExceeded) {
			hung++
		}
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
