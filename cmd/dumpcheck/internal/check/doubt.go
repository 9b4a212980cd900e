// SPDX-License-Identifier: BSD-3-Clause

package check

import (
	"slices"
	"time"
)

// What a check finds by comparing dumps is wrong if somebody else changes the table
// meanwhile.

// compared says that the last finding rests on a comparison: see doubt.
func (r *run) compared() { r.result.Findings[len(r.result.Findings)-1].atRest = true }

// doubt leaves out what a check has found by comparison if the table changes by itself,
// and what it does not find again.
func (r *run) doubt(c *Check, took time.Duration) {
	compared := func(f Finding) bool { return f.atRest }
	if !slices.ContainsFunc(r.result.Findings, compared) {
		return
	}
	why := "the table changes by itself"
	changed := c.ID == "change" // the check has changed the table, and looked again
	if !r.restless(took, !changed) {
		if changed {
			return
		}
		d, err := r.dump(r.Request, large)
		if err != nil || !d.Whole() {
			return
		}
		r.base, r.alone, r.new, r.other = d, nil, nil, nil
		first := r.result
		r.result = &Result{ID: c.ID, Title: c.Title, Rules: c.Rules}
		r.until = time.Now().Add(r.Options.Check)
		c.run(r)
		if slices.ContainsFunc(r.result.Findings, compared) || r.result.Failed || r.ctx.Err() != nil {
			r.result = first
			return
		}
		why = "the table was changed by somebody else: it was not so again"
	}
	r.result.Findings = slices.DeleteFunc(r.result.Findings, compared)
	if r.result.Skipped == "" {
		r.skip("%s", why)
	}
}

// restless tells whether somebody else changes the table: dumps differ, or some are
// marked. A mark may come late, so none counts behind a change of our own. It looks for
// as long as a check took, within limits.
func (r *run) restless(took time.Duration, marks bool) bool {
	const fewest = 8
	end := time.Now().Add(min(max(took, 300*time.Millisecond), 2*time.Second))
	var before []string
	marked := 0
	for i := 0; !r.unrest; i++ {
		if i >= fewest && time.Now().After(end) {
			r.unrest = marks && marked > 0 && marked < i
			break
		}
		d, err := r.dump(r.Request, large)
		if err != nil || !d.Whole() {
			return false
		}
		if d.Interrupted() {
			marked++
		}
		keys := r.keys(d)
		missing, more := difference(before, keys)
		r.unrest = i > 0 && missing+more > 0
		before = keys
		time.Sleep(5 * time.Millisecond)
	}
	return r.unrest
}
