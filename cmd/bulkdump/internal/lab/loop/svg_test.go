// SPDX-License-Identifier: BSD-3-Clause

package loop

import (
	"encoding/xml"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"
)

// A drawn is an element of a picture.
type drawn struct {
	name, class, anchor string
	x, y, w, h          float64
	text                string
}

// read takes a picture apart; it must be well formed.
func read(t testing.TB, svg string) (all []drawn) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(svg))
	for {
		token, err := d.Token()
		if err == io.EOF {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		switch e := token.(type) {
		case xml.StartElement:
			el := drawn{name: e.Name.Local}
			for _, a := range e.Attr {
				number := map[string]*float64{"x": &el.x, "y": &el.y, "x1": &el.x, "y1": &el.y, "width": &el.w, "height": &el.h}[a.Name.Local]
				switch {
				case a.Name.Local == "class":
					el.class = a.Value
				case a.Name.Local == "text-anchor":
					el.anchor = a.Value
				case number != nil:
					if _, err := fmt.Sscanf(a.Value, "%f", number); err != nil {
						t.Fatalf("%s=%q: %v", a.Name.Local, a.Value, err)
					}
				}
			}
			all = append(all, el)
		case xml.CharData:
			if n := len(all); n > 0 && all[n-1].name == "text" && all[n-1].text == "" {
				all[n-1].text = strings.TrimSpace(string(e))
			}
		}
	}
}

// box is the place that a text takes, in a font of usual width.
func (d drawn) box() drawn {
	size := map[string]float64{"title": 26, "says": 16, "lane": 16, "nr": 12}[d.class]
	if size == 0 {
		size = 14
	}
	d.w, d.h = 0.56*size*float64(len([]rune(d.text))), size
	switch d.anchor {
	case "middle":
		d.x -= d.w / 2
	case "end":
		d.x -= d.w
	}
	d.y -= 0.8 * size
	return d
}

// checkTexts fails if texts overlap or are not in the picture.
func checkTexts(t testing.TB, all []drawn) {
	t.Helper()
	picture := all[0]
	var boxes []drawn
	for _, d := range all {
		if d.name != "text" {
			continue
		}
		b := d.box()
		if b.x < 0 || b.y < 0 || b.x+b.w > picture.w || b.y+b.h > picture.h {
			t.Errorf("%q at %.0f,%.0f is not in the picture", d.text, b.x, b.y)
		}
		for _, other := range boxes {
			if b.x < other.x+other.w && other.x < b.x+b.w && b.y < other.y+other.h && other.y < b.y+b.h {
				t.Errorf("%q overlaps %q at %.0f,%.0f", b.text, other.text, b.x, b.y)
			}
		}
		boxes = append(boxes, b)
	}
}

func svg(t testing.TB, trace *Trace) (text string, all []drawn) {
	t.Helper()
	var b strings.Builder
	if err := trace.WriteSVG(&b); err != nil {
		t.Fatal(err)
	}
	all = read(t, b.String())
	checkTexts(t, all)
	return b.String(), all
}

// Everything that happened is drawn once, and is once in the legend.
func TestSVG(t *testing.T) {
	text, all := svg(t, aTrace(t))
	count := make(map[string]int)
	labels := make(map[string]int)
	for _, d := range all {
		count[d.name+" "+d.class]++
		if d.name == "text" {
			labels[d.text]++
		}
	}
	for what, want := range map[string]int{
		"rect send r0": 2, "rect send r1": 1,
		"rect read r0": 5, "rect read r1": 2, "rect peek r0": 2,
		"rect built r0": 4, "rect built r1": 1,
		"line setoff": 5, "path setoff head": 5,
		"line fetch r0": 4, "line fetch r1": 1,
		"line change": 2, "path changemark": 3, "text changetext": 2,
		"path curve r0": 2, "path curve r1": 2,
		"line half": 1,
	} {
		if count[what] != want {
			t.Errorf("%s: %d, want %d", what, count[what], want)
		}
	}
	for label, want := range map[string]int{
		"Two <dumps>": 1, "A & B": 1, "reader A": 1, "reader B": 1, "queue A": 1, "queue B": 1, "cursor": 1,
		"INTR": 1, "ENOBUFS": 1, "DONE": 1, "send": 2, "del 30": 1, "flush": 1, "rcvbuf/2": 1, "8,192": 1,
		"rcvbuf/2 is above: 106,496": 1, "ms": 1, "change of the table": 1, "peek: looks, takes nothing": 1,
	} {
		if labels[label] != want {
			t.Errorf("%q is there %d times, want %d", label, labels[label], want)
		}
	}
	if all[0].name != "svg" || all[1].name != "title" || !strings.HasPrefix(text, `<svg xmlns="http://www.w3.org/2000/svg"`) {
		t.Errorf("it begins with %+v", all[:2])
	}
}

// The arrows meet what they are about: a page is built below the call that set it
// off.
func TestSVGPlaces(t *testing.T) {
	trace := aTrace(t)
	_, all := svg(t, trace)
	calls := make([][]drawn, 2) // by reader, as the trace has them
	var setOff, built []drawn
	for _, d := range all {
		what, reader, _ := strings.Cut(d.class, " r")
		switch what {
		case "setoff":
			setOff = append(setOff, d)
		case "built":
			built = append(built, d)
		case Send, Read, Peek:
			calls[reader[0]-'0'] = append(calls[reader[0]-'0'], d)
		}
	}
	var middles []float64 // of the calls
	for _, c := range trace.Calls {
		d := calls[c.Reader][0]
		calls[c.Reader] = calls[c.Reader][1:]
		middles = append(middles, d.x+d.w/2)
	}
	var pages []Page // as they are drawn
	for reader := range 2 {
		for _, p := range trace.Pages {
			if p.Reader == reader {
				pages = append(pages, p)
			}
		}
	}
	for i, page := range pages {
		want := middles[*page.By]
		if mid := built[i].x + built[i].w/2; math.Abs(mid-want) > 0.2 || math.Abs(setOff[i].x-want) > 0.2 {
			t.Errorf("page %d is at %.1f, set off at %.1f; its call is at %.1f", i, mid, setOff[i].x, want)
		}
	}
}

// With many things at one time, labels are left out, not written over others.
func TestSVGOfMuch(t *testing.T) {
	trace := aTrace(t)
	for i := range 1000 {
		c := trace.Calls[len(trace.Calls)-1]
		c.From += uint64(i / 2)
		c.To = c.From
		trace.Calls = append(trace.Calls, c)
		trace.Changes = append(trace.Changes, Change{At: 400 + uint64(i%7), What: "new", ID: uint32(i)})
		page := trace.Pages[len(trace.Pages)-1]
		page.Nr, page.By, page.At = i+10, nil, page.At+uint64(i%300)
		trace.Pages = append(trace.Pages, page)
	}
	_, all := svg(t, trace)
	count := make(map[string]int)
	for _, d := range all {
		count[d.name+" "+d.class]++
		if strings.HasPrefix(d.text, "and ") && !strings.HasSuffix(d.text, " more") {
			t.Errorf("%q", d.text)
		}
	}
	if count["rect built r0"] != 1004 || count["path changemark"] != 1003 || count["line setoff"] != 1 {
		t.Errorf("%v", count)
	}
}

// The least there can be: a request that was sent and refused.
func TestSVGOfLittle(t *testing.T) {
	trace, err := Build(aReaders()[:1], aCalls()[:1], nil, 5)
	if err != nil {
		t.Fatal(err)
	}
	_, all := svg(t, trace)
	if len(all) < 10 {
		t.Errorf("%+v", all)
	}
}

func TestRoundStep(t *testing.T) {
	for v, want := range map[float64]float64{0: 1, 1: 1, 1.5: 2, 3: 5, 7: 10, 10: 10, 11: 20, 5001: 10000} {
		if got := roundStep(v); got != want {
			t.Errorf("%g: %g, want %g", v, got, want)
		}
	}
	if got := thousands(1) + " " + thousands(212992) + " " + thousands(1234567); got != "1 212,992 1,234,567" {
		t.Error(got)
	}
}
