// SPDX-License-Identifier: BSD-3-Clause

package mirror

import "bulkdump/client"

// A horizon knows up to which generation a replica is right: of each entry
// whose last change is not newer, it has that change. What is newer may be in it
// or not, and a dump since the horizon brings it.
//
// Events raise it one by one, because each generation has one: where one is
// missing there was a loss, and the horizon stands until a dump has raised it.
type horizon struct {
	held uint64

	// The run: what came last without a gap, from first to last. It waits for
	// a dump that reaches up to it.
	first, last uint64
	open        bool // the run begins with the next event, wherever that is
}

// What an event is to the horizon.
const (
	eventNext = iota
	eventOld  // it tells nothing new
	eventGap  // something before it is missing that was not known to be
	eventFill // what it made is missing
)

// event notes one.
func (h *horizon) event(e *client.Event) int {
	generation := e.Generation
	switch {
	case generation <= h.held || !h.open && generation <= h.last:
		return eventOld
	case e.Kind == client.EventFill:
		h.first, h.last, h.open = generation+1, generation, false
		return eventFill
	case h.open:
		h.first, h.last, h.open = generation, generation, false
	case generation == h.last+1:
		h.last = generation
	default:
		h.first, h.last = generation, generation
		return eventGap
	}
	h.join()
	return eventNext
}

// join raises the horizon to the run's end, if nothing is missing between.
func (h *horizon) join() (joined bool) {
	if h.first > h.held+1 {
		return false
	}
	h.held = max(h.held, h.last)
	return true
}

// lose notes that an unknown number of events is missing after the last one.
func (h *horizon) lose() { h.open = true }

// reach notes that a dump has brought what the table had at the generation.
// covered: nothing was lost since it began. It returns false if there are events
// beyond it, and between them something that is missing still.
func (h *horizon) reach(generation uint64, covered bool) bool {
	h.held = max(h.held, generation)
	switch {
	case h.open && !covered:
		return true
	case h.open, h.last <= h.held:
		h.first, h.last, h.open = h.held+1, h.held, false
	}
	return h.join()
}
