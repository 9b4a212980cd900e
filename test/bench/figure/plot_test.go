// SPDX-License-Identifier: BSD-3-Clause

package figure

import (
	"encoding/xml"
	"errors"
	"io"
	"math"
	"slices"
	"strings"
	"testing"
)

// wellFormed returns the text of a plot. It fails if that is not XML.
func wellFormed(t *testing.T, draw func(io.Writer) error) string {
	t.Helper()
	var b strings.Builder
	if err := draw(&b); err != nil {
		t.Fatal(err)
	}
	for d := xml.NewDecoder(strings.NewReader(b.String())); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return b.String()
		} else if err != nil {
			t.Fatalf("%v in\n%s", err, b.String())
		}
	}
}

// The bar of the most expensive contender takes the whole width. The parts of a
// bar have widths in proportion to their costs.
func TestBars(t *testing.T) {
	got := wellFormed(t, func(w io.Writer) error { return sample().WriteBars(w, "6.1", sample().Contenders(), 1000) })
	for _, bar := range []string{
		`x="170.0" y="64.0" width="112.0" height="16.0" class="fill"`,
		`x="282.0" y="64.0" width="18.7" height="16.0" class="copy"`,
		`x="300.7" y="64.0" width="56.0" height="16.0" class="user"`,
		`x="170.0" y="86.0" width="560.0" height="16.0" class="all"`,
	} {
		if !strings.Contains(got, bar) {
			t.Errorf("no %s in\n%s", bar, got)
		}
	}
}

func TestLines(t *testing.T) {
	got := wellFormed(t, func(w io.Writer) error { return sample().WriteSizes(w, "6.1", []string{Ours, "cat", "nobody"}) })
	if n := strings.Count(got, "<polyline"); n != 4 { // two, and two in their legend
		t.Errorf("%d lines in\n%s", n, got)
	}
	if err := sample().WriteBuffers(io.Discard, "6.1"); !errors.Is(err, ErrNothing) {
		t.Errorf("a plot of buffers that nobody measured: %v", err)
	}
	if err := sample().WriteSizes(io.Discard, "7.3", []string{Ours}); !errors.Is(err, ErrNothing) {
		t.Errorf("a plot of nothing: %v", err)
	}
}

func TestAxisIsLogarithmic(t *testing.T) {
	a := newAxis(1, 1000, 0, 300)
	for v, want := range map[float64]float64{1: 0, 10: 100, 100: 200, 1000: 300} {
		if got := a.at(v); math.Abs(got-want) > 1e-6 {
			t.Errorf("%v is at %v, not at %v", v, got, want)
		}
	}
}

// Small differences look small: the y axis spans at least a power of ten.
func TestAxesOfAPlot(t *testing.T) {
	p := plot{series: []series{{points: [][2]float64{{8, 1000}, {4, 1010}}}, {points: [][2]float64{{8, 1000}}}}}
	if got := p.across().marks; !slices.Equal(got, []float64{4, 8}) {
		t.Errorf("marks of x: %v", got)
	}
	if got := p.upward().marks; !slices.Equal(got, []float64{200, 500, 1000}) {
		t.Errorf("marks of y: %v", got)
	}
}
