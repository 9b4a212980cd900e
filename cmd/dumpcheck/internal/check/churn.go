// SPDX-License-Identifier: BSD-3-Clause

package check

import (
	"errors"
	"time"
)

// Changes at each border between pages.

// churn changes a random object at each border between pages, in several dumps.
func (c *changes) churn() error {
	rounds := 3 * c.r.Rounds
	quiet, err := c.r.dump(c.r.Request, c.r.small)
	if err != nil {
		return err
	}
	most := 4*len(quiet.Pages) + 64 // a page more at most for each change
	for i := range rounds {
		if c.r.late("rounds of changes", i, rounds) {
			return nil
		}
		if err := c.look(); err != nil {
			return err
		}
		stable := c.known
		var touched []string
		gone := map[int]bool{}
		endless := false
		d, err := c.r.during(c.r.Request, c.r.small, func(pages int) error {
			if endless = endless || pages > most; endless || c.r.ctx.Err() != nil || time.Now().After(c.r.until) {
				return nil
			}
			n := c.random()
			touched = append(touched, c.keys[n]...)
			c.changed++
			if gone[n] {
				gone[n] = false
				return c.r.Changer.Add(n)
			}
			gone[n] = true
			return c.r.Changer.Remove(n)
		})
		if err != nil {
			return err
		}
		if d.Err != nil {
			return d.Err
		}
		c.dumps++
		if endless {
			c.find(unending, false, "while a record comes or goes at each page, it does not end: it had %d pages when that ended, and has %d without", most, len(quiet.Pages))
		}
		const how = "records removed and added at each page"
		if c.whole(d, how) {
			c.exactlyOnce(d, stable, touched, how)
		}
		var again []int
		for n, is := range gone {
			if !is { // it is there
				if c.same {
					continue // with the keys that it had
				}
				err = errors.Join(err, c.r.Changer.Remove(n))
			}
			again = append(again, n)
		}
		if err = errors.Join(err, c.addAgain(again)); err != nil {
			return err
		}
	}
	return nil
}
