// SPDX-License-Identifier: BSD-3-Clause

package figure

import (
	"fmt"
	"html"
	"io"
	"strings"
)

// canvas collects an SVG that is readable on a light and on a dark page.
type canvas struct {
	width, height int
	b             strings.Builder
}

const style = `<style>
text { font: 12px sans-serif; fill: #444; } .title { font-size: 15px; font-weight: bold; }
.fill { fill: #3b6ea5; } .copy { fill: #8fb339; } .user { fill: #d98032; } .all { fill: #999; }
.axis, .grid { stroke: #888; } .grid { stroke-opacity: .3; }
polyline { fill: none; stroke-width: 2; }
@media (prefers-color-scheme: dark) { text { fill: #ccc; } }
</style>
`

func newCanvas(width, height int) *canvas { return &canvas{width: width, height: height} }

func (c *canvas) rect(x, y, width, height float64, class string) {
	fmt.Fprintf(&c.b, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" class="%s"/>`+"\n", x, y, width, height, class)
}

func (c *canvas) line(x1, y1, x2, y2 float64, class string) {
	fmt.Fprintf(&c.b, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" class="%s"/>`+"\n", x1, y1, x2, y2, class)
}

// text writes a text. The anchor is start, middle or end.
func (c *canvas) text(x, y float64, class, anchor, text string) {
	if anchor == "" {
		anchor = "start"
	}
	fmt.Fprintf(&c.b, `<text x="%.1f" y="%.1f" class="%s" text-anchor="%s">%s</text>`+"\n", x, y, class, anchor, html.EscapeString(text))
}

// polyline draws a line through the points, with a dot on each.
func (c *canvas) polyline(points [][2]float64, color string) {
	var at []string
	for _, p := range points {
		at = append(at, fmt.Sprintf("%.1f,%.1f", p[0], p[1]))
		fmt.Fprintf(&c.b, `<circle cx="%.1f" cy="%.1f" r="3" fill="%s"/>`+"\n", p[0], p[1], color)
	}
	fmt.Fprintf(&c.b, `<polyline points="%s" stroke="%s"/>`+"\n", strings.Join(at, " "), color)
}

func (c *canvas) writeTo(w io.Writer) error {
	_, err := fmt.Fprintf(w, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d">`+"\n%s%s</svg>\n",
		c.width, c.height, c.width, c.height, style, c.b.String())
	return err
}
