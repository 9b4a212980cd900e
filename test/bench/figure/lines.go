// SPDX-License-Identifier: BSD-3-Clause

package figure

import (
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
)

// series is a line of a plot. All x and y are above 0.
type series struct {
	name   string
	points [][2]float64
}

var colors = []string{"#3b6ea5", "#d98032", "#8fb339", "#a23b72", "#6c757d", "#2a9d8f", "#e9c46a", "#7b2cbf", "#e0607e"}

// ErrNothing means that there are no figures to draw.
var ErrNothing = errors.New("nothing to draw")

// plot is a plot with two logarithmic axes.
type plot struct {
	title, x string
	series   []series
}

// WriteSizes draws cost against table size.
func (r *Report) WriteSizes(w io.Writer, kernel string, contenders []string) error {
	p := plot{title: "Instructions a record, kernel " + kernel, x: "entries of the table"}
	for _, c := range contenders {
		s := series{name: c}
		for _, n := range r.Sizes() {
			if f := r.Find(kernel, c, n); f != nil {
				s.points = append(s.points, [2]float64{float64(n), f.Cost()})
			}
		}
		p.series = append(p.series, s)
	}
	return p.write(w)
}

// WriteBuffers draws cost against the size of the reader's buffer, for the
// largest table that was read with small buffers.
func (r *Report) WriteBuffers(w io.Writer, kernel string) error {
	s := series{name: Ours}
	entries := uint32(0)
	for _, f := range r.Figures {
		if f.Kernel == kernel && f.Contender == "go 4 KiB buffer" {
			entries = max(entries, f.Entries)
		}
	}
	for _, kib := range []int{4, 8, 16, 32, 64} {
		name := fmt.Sprintf("go %d KiB buffer", kib)
		if kib == 64 {
			name = Ours
		}
		if f := r.Find(kernel, name, entries); f != nil {
			s.points = append(s.points, [2]float64{float64(kib), f.Cost()})
		}
	}
	p := plot{title: fmt.Sprintf("Instructions a record, kernel %s, %d entries", kernel, entries), x: "reader's buffer, KiB", series: []series{s}}
	return p.write(w)
}

const (
	plotLeft, plotTop     = 60.0, 40.0
	plotWidth, plotHeight = 560.0, 360.0
)

func (p *plot) write(w io.Writer) error {
	p.series = slices.DeleteFunc(p.series, func(s series) bool { return len(s.points) == 0 })
	if len(p.series) == 0 {
		return ErrNothing
	}
	x, y := p.across(), p.upward()
	c := newCanvas(int(plotLeft+plotWidth)+170, int(plotTop+plotHeight)+50)
	c.text(10, 22, "title", "", p.title)
	for _, v := range x.marks {
		c.line(x.at(v), plotTop, x.at(v), plotTop+plotHeight, "grid")
		c.text(x.at(v), plotTop+plotHeight+18, "", "middle", fmt.Sprintf("%.0f", v))
	}
	for _, v := range y.marks {
		c.line(plotLeft, y.at(v), plotLeft+plotWidth, y.at(v), "grid")
		c.text(plotLeft-6, y.at(v)+4, "", "end", fmt.Sprintf("%.0f", v))
	}
	c.text(plotLeft+plotWidth/2, plotTop+plotHeight+38, "", "middle", p.x)
	for i, s := range p.series {
		var points [][2]float64
		for _, v := range s.points {
			points = append(points, [2]float64{x.at(v[0]), y.at(v[1])})
		}
		color := colors[i%len(colors)]
		c.polyline(points, color)
		at := plotTop + 18*float64(i)
		c.polyline([][2]float64{{plotLeft + plotWidth + 12, at + 7}, {plotLeft + plotWidth + 28, at + 7}}, color)
		c.text(plotLeft+plotWidth+36, at+11, "", "", s.name)
	}
	return c.writeTo(w)
}

// axis maps values to places on the canvas, on a logarithmic scale.
type axis struct {
	low, high float64 // logarithms
	from, to  float64 // on the canvas
	marks     []float64
}

func newAxis(least, most, from, to float64) *axis {
	return &axis{low: math.Log10(least), high: math.Log10(most), from: from, to: to}
}

func (a *axis) at(v float64) float64 {
	return a.from + (math.Log10(v)-a.low)/(a.high-a.low)*(a.to-a.from)
}

// across returns the x axis, with a mark for each value.
func (p *plot) across() *axis {
	values := p.values(0)
	a := newAxis(values[0]/1.1, values[len(values)-1]*1.1, plotLeft, plotLeft+plotWidth)
	a.marks = values
	return a
}

// upward returns the y axis. It spans a power of ten or more, and has marks at
// 1, 2 and 5 times each power.
func (p *plot) upward() *axis {
	values := p.values(1)
	most := values[len(values)-1] * 1.1
	least := min(values[0]/1.1, most/10)
	a := newAxis(least, most, plotTop+plotHeight, plotTop)
	for power := math.Floor(a.low); power <= a.high; power++ {
		for _, step := range []float64{1, 2, 5} {
			if v := step * math.Pow(10, power); v >= least && v <= most {
				a.marks = append(a.marks, v)
			}
		}
	}
	return a
}

// values returns all x (0) or all y (1), sorted and without duplicates.
func (p *plot) values(i int) []float64 {
	var values []float64
	for _, s := range p.series {
		for _, v := range s.points {
			values = append(values, v[i])
		}
	}
	slices.Sort(values)
	return slices.Compact(values)
}
