// SPDX-License-Identifier: BSD-3-Clause

package check

import (
	"cmp"
	"errors"
	"time"

	"golang.org/x/sys/unix"

	"bulkdump/cmd/dumpcheck/observe"
)

// The checks of several dumps at once, and of one that waits for its reader.

// begin starts a dump of small pages, and leaves it when some are read.
func (r *run) begin(pages int) (*observe.Socket, *observe.Dump, bool) {
	s, err := r.open(r.small)
	if r.failed(err) {
		return nil, nil, false
	}
	l := r.limits()
	l.Between = observe.LeaveAfter(pages)
	d := s.Dump(r.Request, l)
	if d.End != observe.Left {
		r.skip("the table is too small: the dump is over after %s", count(len(d.Pages), "page"))
		s.Close()
		return nil, nil, false
	}
	return s, d, true
}

func checkBusy(r *run) {
	if !r.takeAlone() {
		return
	}
	if len(r.alone.Pages) < 2 {
		r.skip("the table is too small: it has 1 page")
		return
	}
	s, first, ok := r.begin(0)
	if !ok {
		return
	}
	defer s.Close()
	// What answers it comes behind the first page.
	sent, err := s.Send(r.Request)
	if r.failed(err) {
		return
	}
	first.Resume(s, r.limits())
	busy := false
	for m := range first.Messages() {
		busy = busy || m.Type == unix.NLMSG_ERROR && m.Seq == sent.Seq && observe.Errno(m) == unix.EBUSY
	}
	if !busy {
		r.weak("a second dump on the same socket is not refused (EBUSY)")
	}
	r.sameAlone(first, "after a second dump on its socket was refused")
}

// checkInterleaved reads several dumps page by page, in turns.
func checkInterleaved(r *run) {
	const dumps = 3
	var sockets [dumps]*observe.Socket
	var all [dumps]*observe.Dump
	for i := range dumps {
		s, d, ok := r.begin(i)
		if !ok {
			return
		}
		defer s.Close()
		sockets[i], all[i] = s, d
	}
	for running := true; running; {
		running = false
		for i, d := range all {
			if d.End != observe.Left {
				continue
			}
			l := r.limits()
			l.Between = observe.LeaveAfter(len(d.Pages) + 1)
			d.Resume(sockets[i], l)
			running = running || d.End == observe.Left
		}
	}
	for _, d := range all {
		r.sameAlone(d, "with other dumps in between")
	}
	if r.filtered.Data == nil {
		return
	}
	s, d, ok := r.begin(1)
	if !ok {
		return
	}
	defer s.Close()
	if _, err := r.dump(r.filtered, large); r.failed(err) {
		return
	}
	d.Resume(s, r.limits())
	r.sameAlone(d, "with a filtered dump in between")
}

// checkParked does other things while a dump waits for its reader.
func checkParked(r *run) {
	change := func() error {
		err := r.Changer.Add(0)
		gone := r.Changer.Remove(0) // an add that failed may have added it
		return cmp.Or(err, gone)
	}
	changes, changeTakes := false, time.Duration(0)
	if r.Changer != nil {
		begin := time.Now()
		err := change() // while no dump is parked
		changeTakes = time.Since(begin)
		if changes = err == nil; !changes && !errors.Is(err, errors.ErrUnsupported) {
			r.failed(err)
		}
	}
	before := references()
	s, d, ok := r.begin(1)
	if !ok {
		return
	}
	defer s.Close()
	held := r.heldModule(before)

	usual := total(r.base)
	timed := func(what string, usual time.Duration, f func() error) {
		for again := range 2 { // this process may have been stopped once
			begin := time.Now()
			err := f()
			switch took := time.Since(begin); {
			case took > time.Second && took > 20*usual && again == 0:
				continue
			case took > time.Second && took > 20*usual:
				r.broken("%s takes %v while a dump is parked: it waits for a lock", what, took.Round(time.Millisecond))
			case err != nil:
				r.broken("%s fails while a dump is parked: %v", what, err)
			}
			return
		}
	}
	timed("another dump", usual, func() error {
		other, err := r.dump(r.Request, large)
		if err == nil && !other.Whole() {
			err = errors.New(ending(other))
		}
		return err
	})
	if r.Protocol == unix.NETLINK_GENERIC {
		timed("a dump of the families", usual, func() error {
			other, err := observe.Dial(unix.NETLINK_GENERIC, large)
			if err != nil {
				return err
			}
			defer other.Close()
			other.Dump(families, r.limits())
			return nil
		})
	}
	if changes {
		timed("a change", changeTakes, change)
	}
	d.Resume(s, r.limits())
	// The read of a page makes the next one. If that was the last one, the dump was over,
	// and had given its reference back.
	if !held && len(d.Pages) > 2 {
		r.broken("a parked dump has no reference to module %s: it can be unloaded, and the next page runs code that is gone", r.Generic.Name)
		r.breaks(18)
	}
	switch {
	case r.Changer == nil:
		r.sameAlone(d, "after it was parked")
	case !d.Whole() && !r.failed(r.tooMuch(d)):
		r.broken("after it was parked, it does not come to its end: %s", ending(d))
	}
}

func total(d *observe.Dump) (sum time.Duration) {
	for _, p := range d.Pages {
		sum += p.Wait
	}
	return sum
}
