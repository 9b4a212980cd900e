// SPDX-License-Identifier: BSD-3-Clause

package mirror

import "bulkdump/client"

// A horizon knows up to which generation a replica is complete: the replica has the
// last change of each entry that did not change after it. The replica may have
// newer changes or not; a dump since the horizon brings them.
//
// Each generation has an event, and each event raises the horizon by one. If one
// is missing there was a loss, and the horizon stays until a dump has raised it.
type horizon struct {
	complete uint64

	// The run is the latest events without a gap, from first to last. It waits
	// for a dump that reaches it.
	first, last uint64
	open        bool // the run begins with the next event, whatever its generation
}

// What an event is to the horizon.
const (
	eventNext = iota
	eventOld  // it says nothing new
	eventGap  // something before it is missing, which was not known
	eventFill // the entries that it made are missing
)

// event notes an event, and tells what it is.
func (h *horizon) event(e *client.Event) int {
	generation := e.Generation
	switch {
	case generation <= h.complete || !h.open && generation <= h.last:
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

// join raises the horizon to the end of the run, if nothing before the run is
// missing.
func (h *horizon) join() (joined bool) {
	if h.first > h.complete+1 {
		return false
	}
	h.complete = max(h.complete, h.last)
	return true
}

// lose notes that an unknown number of events after the last one is missing.
func (h *horizon) lose() { h.open = true }

// reach notes that a dump has brought what the table had at the generation. covered
// says that nothing was lost since the dump began. It returns false if something is
// still missing between that generation and later events.
func (h *horizon) reach(generation uint64, covered bool) bool {
	h.complete = max(h.complete, generation)
	switch {
	case h.open && !covered:
		return true
	case h.open, h.last <= h.complete:
		h.first, h.last, h.open = h.complete+1, h.complete, false
	}
	return h.join()
}
