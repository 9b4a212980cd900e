// SPDX-License-Identifier: BSD-3-Clause

package loop

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
)

// Measures of the picture, in pixels.
const (
	width     = 1600.0
	left      = 220.0 // of the time axis, after the lanes' names
	right     = 1470.0
	callsH    = 34.0
	pagesH    = 26.0
	loopH     = 74.0 // between the reader's lane and the kernel's
	plotH     = 130.0
	laneGap   = 44.0
	labelSize = 14.0
	manyCalls = 150 // above it, there are no arrows
)

// A picture is a Trace as it is drawn, from the top down.
type picture struct {
	canvas
	t    *Trace
	y    float64
	span float64 // microseconds from left to right
	top  float64 // of the lanes
}

// WriteSVG draws a timeline. For each reader, it has the reader's lane, below it the
// kernel's with what set off what, and how much waits between them. Then come the
// cursors, and the changes of the table.
func (t *Trace) WriteSVG(w io.Writer) error {
	p := &picture{t: t, span: max(float64(t.end()), 1)}
	p.head()
	p.top = p.y
	for i := range t.Readers {
		p.loop(i)
		p.queue(i)
	}
	p.cursors()
	p.axis()
	p.legend()
	height := p.y + 20
	_, err := fmt.Fprintf(w, `<svg xmlns="http://www.w3.org/2000/svg" width="%.0f" height="%.0f" viewBox="0 0 %.0f %.0f">
<title>%s</title>
<style>%s</style>
<rect class="ground" x="0" y="0" width="%.0f" height="%.0f"/>
%s</svg>
`, width, height, width, height, escape(t.Title), style, width, height, p.b.String())
	return err
}

const style = `
text { font-family: "DejaVu Sans", Verdana, sans-serif; font-size: 14px; fill: #222 }
.title { font-size: 26px; font-weight: bold }
.says { font-size: 16px; fill: #444 }
.lane { font-size: 16px; font-weight: bold }
.note { fill: #555 }
.nr { font-size: 12px; fill: #222 }
.ground { fill: #fff }
.rest { fill: #eef0f2 }
.plot { fill: #fafafa; stroke: #ccc }
.tick { stroke: #bbb }
.grid { stroke: #e4e4e4 }
.half { stroke: #c00; stroke-width: 1.5; stroke-dasharray: 7 4 }
.halftext { fill: #c00 }
.alarm { fill: #c00; font-weight: bold }
.change { stroke: #7a1fa2; stroke-dasharray: 2 4 }
.changemark { fill: #7a1fa2; stroke: #fff }
.changetext { fill: #7a1fa2; stroke: #fff; stroke-width: 4px; paint-order: stroke }
.r0 { fill: #1f6fb4 } .r1 { fill: #c8641b } .r2 { fill: #2e8b57 } .r3 { fill: #8a5a2b }
.peek { fill: #fff; stroke-width: 1.6 }
.peek.r0, .send.r0, .built.r0, .fetch.r0, .curve.r0 { stroke: #1f6fb4 } .peek.r1, .send.r1, .built.r1, .fetch.r1, .curve.r1 { stroke: #c8641b }
.peek.r2, .send.r2, .built.r2, .fetch.r2, .curve.r2 { stroke: #2e8b57 } .peek.r3, .send.r3, .built.r3, .fetch.r3, .curve.r3 { stroke: #8a5a2b }
.send { fill: #333 }
.built { fill: #ffe08a; stroke-width: 1.6 }
.fetch { stroke-width: 1.2; stroke-dasharray: 5 3 }
.curve { fill: none; stroke-width: 2.2 }
.setoff { stroke: #333; stroke-width: 1.4 }
.head { stroke: none }
.setoff.head { fill: #333 }
`

func (p *picture) x(at uint64) float64 { return left + (right-left)*float64(at)/p.span }

// of adds the reader's color to a class.
func of(class string, reader int) string { return fmt.Sprintf("%s r%d", class, reader%4) }

func (p *picture) head() {
	p.text("title", "start", 30, 44, p.t.Title)
	p.y = 70
	if p.t.Says != "" {
		p.text("says", "start", 30, 72, p.t.Says)
		p.y = 98
	}
}

// lane writes a lane's name, in the middle of its height.
func (p *picture) lane(name, note string, y, height float64) {
	p.text("lane", "start", 30, y+height/2, name)
	if note != "" {
		p.text("note", "start", 30, y+height/2+18, note)
	}
}

// loop draws a reader's calls, the pages that the kernel built for it, and which set
// off which.
func (p *picture) loop(reader int) {
	t := p.t
	p.y += 26 // for the labels above
	callsY, pagesY := p.y, p.y+callsH+loopH
	p.lane("reader "+t.Readers[reader].Name, "reads", callsY, callsH)
	p.lane("kernel", "builds pages", pagesY, pagesH)
	p.rest(reader, callsY)

	arrows, boxW := len(t.Calls) <= manyCalls, 10.0
	if len(t.Pages) > 40 {
		boxW = 4
	}
	labels, numbers := newShelf(2), newShelf(1)
	x := make(map[int]float64) // of the call's middle, by its index
	for i, c := range t.Calls {
		if c.Reader != reader {
			continue
		}
		from, w := p.x(c.From), max(p.x(c.To)-p.x(c.From), 4)
		x[i] = from + w/2
		class := map[string]string{Send: "send", Read: "read", Peek: "peek"}[c.What]
		p.rect(of(class, reader), from, callsY, w, callsH)
		text, class := p.callLabel(c)
		size := textWidth(text, labelSize)
		if at := labels.place(x[i]-size/2, size); text != "" && at >= 0 {
			p.text(class, "middle", x[i], callsY-6-16*float64(at), text)
		}
	}
	for i, page := range t.Pages {
		if page.Reader != reader {
			continue
		}
		mid := p.x(page.At)
		if page.By != nil && arrows {
			mid = x[*page.By]
			p.arrow("setoff", mid, callsY+callsH, mid, pagesY)
		}
		if by := p.fetchedBy(i); by >= 0 && arrows {
			p.arrow(of("fetch", reader), mid, pagesY, x[by], callsY+callsH)
		}
		p.rect(of("built", reader), mid-boxW/2, pagesY, boxW, pagesH)
		text := strconv.Itoa(page.Nr)
		size := textWidth(text, 12)
		if numbers.place(mid-size/2, size) >= 0 {
			p.text("nr", "middle", mid, pagesY+pagesH+14, text)
		}
	}
	p.y = pagesY + pagesH + laneGap
}

// rest is the ground of a reader's lane, from its first call to its last.
func (p *picture) rest(reader int, y float64) {
	from, to := right, left
	for _, c := range p.t.Calls {
		if c.Reader == reader {
			from, to = min(from, p.x(c.From)), max(to, p.x(c.To))
		}
	}
	p.rect("rest", from, y, max(to-from, 0), callsH)
}

// callLabel returns the text above a call, and its class.
func (p *picture) callLabel(c Call) (text, class string) {
	switch {
	case c.Error != "":
		return c.Error, "alarm"
	case c.Interrupted:
		return "INTR", "alarm"
	case c.What == Send:
		return "send", "nr"
	case c.What == Read && p.t.done(c):
		return "DONE", "note"
	}
	return "", ""
}

// fetchedBy returns the read that took a page away, or -1.
func (p *picture) fetchedBy(page int) int {
	return slices.IndexFunc(p.t.Calls, func(c Call) bool { return c.What == Read && c.Page != nil && *c.Page == page })
}

// queue plots rmem of a reader's socket against half of its receive buffer.
func (p *picture) queue(reader int) {
	steps := p.t.Queue(reader)
	most, half := 1.0, 0.0
	for _, s := range steps {
		most = max(most, float64(s.RMem))
	}
	for _, page := range p.t.Pages {
		if page.Reader == reader {
			half = float64(page.RcvBuf / 2)
		}
	}
	top := max(most, half) * 1.15
	above := half > 4*most // so high that the rest would be too small
	if above {
		top = most * 1.6
	}
	p.lane("queue "+p.t.Readers[reader].Name, "rmem in bytes", p.y, plotH)
	y := p.plot(top)
	if half > 0 {
		value := thousands(uint64(half))
		if above {
			p.text("halftext", "end", right-8, p.y+20, "rcvbuf/2 is above: "+value)
		} else {
			p.line("half", left, y(half), right, y(half))
			p.text("halftext", "start", right+8, y(half)+5, "rcvbuf/2")
			p.text("halftext", "start", right+8, y(half)+22, value)
		}
	}
	p.steps(of("curve", reader), len(steps), func(i int) (uint64, float64) { return steps[i].At, y(float64(steps[i].RMem)) }, y(0))
	p.y += plotH + laneGap
}

// plot draws the ground of a plot up to top, and returns the place of a value in it.
func (p *picture) plot(top float64) (y func(float64) float64) {
	bottom := p.y + plotH
	y = func(v float64) float64 { return bottom - plotH*v/top }
	p.rect("plot", left, p.y, right-left, plotH)
	step := roundStep(top / 3)
	for v := 0.0; v <= top; v += step {
		if v > 0 {
			p.line("grid", left, y(v), right, y(v))
		}
		p.text("note", "end", left-8, y(v)+5, thousands(uint64(v)))
	}
	return y
}

// steps draws a curve that is level until the next point.
func (p *picture) steps(class string, n int, at func(int) (uint64, float64), y float64) {
	points := []point{{left, y}}
	for i := range n {
		when, now := at(i)
		points = append(points, point{p.x(when), y}, point{p.x(when), now})
		y = now
	}
	p.path(class, append(points, point{right, y}))
}

// cursors plots the place of each dump's cursor, and the changes of the table. The
// dump has passed those below the curve.
func (p *picture) cursors() {
	t := p.t
	top := 1.0
	for _, page := range t.Pages {
		top = max(top, float64(page.Place))
	}
	for _, c := range t.Changes {
		if c.ID < math.MaxUint32 {
			top = max(top, float64(c.ID))
		}
	}
	p.lane("cursor", "the next id", p.y, plotH)
	y := p.plot(top * 1.1)
	for i := range t.Readers {
		var pages []Page
		for _, page := range t.Pages {
			if page.Reader == i {
				pages = append(pages, page)
			}
		}
		p.steps(of("curve", i), len(pages), func(n int) (uint64, float64) { return pages[n].At, y(float64(pages[n].Place)) }, y(0))
	}
	for _, c := range t.Changes {
		p.line("change", p.x(c.At), p.top, p.x(c.At), p.y+plotH)
		p.mark("changemark", p.x(c.At), y(min(float64(c.ID), top)), 6)
	}
	var labels []point
	for _, c := range t.Changes {
		text := c.text()
		size := textWidth(text, labelSize)
		at := point{p.x(c.At) + 10, y(min(float64(c.ID), top)) + 5}
		if at.x+size > right {
			at.x = p.x(c.At) - 10 - size
		}
		// Each label is assumed to be as wide as this one.
		if !slices.ContainsFunc(labels, func(l point) bool { return math.Abs(l.y-at.y) < 16 && math.Abs(l.x-at.x) < size+40 }) {
			p.text("changetext", "start", at.x, at.y, text)
			labels = append(labels, at)
		}
	}
	if more := len(t.Changes) - len(labels); more > 0 {
		p.text("changetext", "start", right+8, p.y+14, fmt.Sprintf("and %d more", more))
	}
	p.y += plotH
}

func (p *picture) axis() {
	p.y += 6
	step := roundStep(p.span / 10)
	for at := 0.0; at <= p.span; at += step {
		x := p.x(uint64(at))
		p.line("tick", x, p.y, x, p.y+6)
		p.text("note", "middle", x, p.y+22, strconv.FormatFloat(at/1000, 'g', 6, 64))
	}
	p.text("note", "start", right+24, p.y+22, "ms")
	p.y += 40
}

// legend says what the signs mean.
func (p *picture) legend() {
	t := p.t
	x, y := 30.0, p.y+20
	entry := func(draw func(x float64), text string) {
		w := 44 + textWidth(text, labelSize) + 12
		if x+w > width {
			x, y = 30, y+28
		}
		draw(x)
		p.text("note", "start", x+44, y+5, text)
		x += w
	}
	entry(func(x float64) { p.rect("send r0", x+14, y-9, 8, 18) }, "request")
	entry(func(x float64) { p.rect(of("read", 0), x+14, y-9, 8, 18) }, "read: takes a page")
	if slices.ContainsFunc(t.Calls, func(c Call) bool { return c.What == Peek }) {
		entry(func(x float64) { p.rect(of("peek", 0), x+14, y-9, 8, 18) }, "peek: looks, takes nothing")
	}
	entry(func(x float64) { p.rect("rest", x+2, y-9, 34, 18) }, "reader does something else")
	entry(func(x float64) { p.rect(of("built", 0), x+13, y-9, 10, 18) }, "page is built")
	entry(func(x float64) { p.arrow("setoff", x+18, y-12, x+18, y+12) }, "sets off")
	entry(func(x float64) { p.arrow(of("fetch", 0), x+8, y+12, x+28, y-12) }, "waits, is fetched")
	if len(t.Changes) > 0 {
		entry(func(x float64) { p.mark("changemark", x+18, y, 6) }, "change of the table")
	}
	p.y = y + 14
}

// roundStep is the next of 1, 2, 5, 10 … that is at least v.
func roundStep(v float64) float64 {
	step := math.Pow(10, math.Floor(math.Log10(max(v, 1))))
	for _, f := range []float64{1, 2, 5, 10} {
		if f*step >= v {
			return f * step
		}
	}
	return 10 * step
}

// thousands writes a number with commas.
func thousands(v uint64) string {
	text := strconv.FormatUint(v, 10)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
