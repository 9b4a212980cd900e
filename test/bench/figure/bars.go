// SPDX-License-Identifier: BSD-3-Clause

package figure

import (
	"fmt"
	"io"
)

// WriteBars draws the cost of a record for each contender, in tables of that
// many entries. Each bar is split into where the instructions go.
func (r *Report) WriteBars(w io.Writer, kernel string, contenders []string, entries uint32) error {
	const label, width, row = 170, 560, 22
	var figures []*Figure
	most := 0.0
	for _, c := range contenders {
		if f := r.Find(kernel, c, entries); f != nil {
			figures = append(figures, f)
			most = max(most, f.Cost())
		}
	}
	c := newCanvas(label+width+80, 90+row*len(figures))
	c.text(10, 22, "title", "", fmt.Sprintf("Instructions a record, kernel %s, %d entries", kernel, entries))
	for i, class := range []string{"fill", "copy", "user", "all"} {
		x := float64(label + i*130)
		c.rect(x, 36, 12, 12, class)
		c.text(x+18, 47, "", "", []string{"kernel, fill", "kernel, copy", "user", "not known"}[i])
	}
	for i, f := range figures {
		y := float64(64 + i*row)
		c.text(label-8, y+13, "", "end", f.Contender)
		x := float64(label)
		bar := func(cost float64, class string) {
			wide := max(cost, 0) / most * width
			c.rect(x, y, wide, row-6, class)
			x += wide
		}
		if s, ok := r.Split(f); ok {
			bar(s.Fill, "fill")
			bar(s.Copy, "copy")
			bar(s.User, "user")
		} else {
			bar(f.Cost(), "all")
		}
		c.text(x+6, y+13, "", "", fmt.Sprintf("%.0f", f.Cost()))
	}
	return c.writeTo(w)
}
