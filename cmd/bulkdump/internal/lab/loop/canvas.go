// SPDX-License-Identifier: BSD-3-Clause

package loop

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"strings"
)

// A canvas is an SVG picture in the making. Styles are classes of the style
// sheet, so that the text says what a thing is, not how it looks.
type canvas struct{ b bytes.Buffer }

func (c *canvas) rect(class string, x, y, w, h float64) {
	fmt.Fprintf(&c.b, `<rect class="%s" x="%.1f" y="%.1f" width="%.1f" height="%.1f"/>`+"\n", class, x, y, w, h)
}

func (c *canvas) line(class string, x1, y1, x2, y2 float64) {
	fmt.Fprintf(&c.b, `<line class="%s" x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f"/>`+"\n", class, x1, y1, x2, y2)
}

// A point of a path.
type point struct{ x, y float64 }

// path draws a line through the points.
func (c *canvas) path(class string, points []point) {
	var d strings.Builder
	for i, p := range points {
		fmt.Fprintf(&d, "%c%.1f %.1f", "ML"[min(i, 1)], p.x, p.y)
	}
	fmt.Fprintf(&c.b, `<path class="%s" d="%s"/>`+"\n", class, d.String())
}

// mark draws a diamond.
func (c *canvas) mark(class string, x, y, r float64) {
	c.path(class, []point{{x, y - r}, {x + r, y}, {x, y + r}, {x - r, y}, {x, y - r}})
}

// arrow draws a line with a head at its end, which goes up or down.
func (c *canvas) arrow(class string, x1, y1, x2, y2 float64) {
	c.line(class, x1, y1, x2, y2)
	back := -6.0
	if y2 < y1 {
		back = 6
	}
	c.path(class+" head", []point{{x2, y2}, {x2 - 3.5, y2 + back}, {x2 + 3.5, y2 + back}, {x2, y2}})
}

// text writes a text whose anchor is start, middle or end.
func (c *canvas) text(class, anchor string, x, y float64, text string) {
	fmt.Fprintf(&c.b, `<text class="%s" text-anchor="%s" x="%.1f" y="%.1f">%s</text>`+"\n", class, anchor, x, y, escape(text))
}

func escape(text string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(text))
	return b.String()
}

// textWidth is about how wide a text of a size is, and rather more.
func textWidth(text string, size float64) float64 {
	return 0.62 * size * float64(len([]rune(text)))
}

// A shelf holds labels side by side, in as many rows as there are.
type shelf struct {
	rows []float64 // where the last label of each ends
}

func newShelf(rows int) *shelf {
	s := &shelf{make([]float64, rows)}
	for i := range s.rows {
		s.rows[i] = -1e9
	}
	return s
}

// place finds the first row in which a label has room from x on; -1 if none has.
func (s *shelf) place(x, width float64) int {
	const gap = 4
	for i, end := range s.rows {
		if x >= end+gap {
			s.rows[i] = x + width
			return i
		}
	}
	return -1
}
