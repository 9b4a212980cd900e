// SPDX-License-Identifier: BSD-3-Clause

package check

import (
	"slices"
	"testing"

	"bulkdump/cmd/dumpcheck/target"
)

// The worst of what several sizes show is told, and how many more there are.
func TestPerSize(t *testing.T) {
	v := &perSize{deviation: deviation{text: "2 records", n: 2}, size: 3776}
	if got := v.others(); got != "" {
		t.Errorf("of one size: %q", got)
	}
	v.add(deviation{text: "7 records", n: 7}, 4096)
	v.add(deviation{text: "3 records", n: 3}, 24576)
	if v.size != 4096 || v.text != "7 records" || v.others() != "; the like with 2 other sizes, up to 24576 bytes" {
		t.Errorf("pages of %d bytes: %s%s", v.size, v.text, v.others())
	}
}

// A part of an object that has no element is none, if other records have elements of it.
func TestHollow(t *testing.T) {
	object := func(n byte, elements ...byte) msg {
		attrs := [][]byte{target.Attr(1, []byte{n})}
		for _, e := range elements {
			attrs = append(attrs, target.Attr(2, []byte{e}))
		}
		return record(attrs...)
	}
	r := &run{Target: testTarget()}
	r.Key = target.Key{Attrs: [][]uint16{{1}}, Element: []uint16{2}}
	whole := r.keys(dumpOf(pageOf(object(1, 1, 2), object(2, 1, 2), object(3)), pageOf(done())))
	split := dumpOf(pageOf(object(1, 1, 2), object(2)), pageOf(object(2, 1, 2), object(3)), pageOf(done()))
	if missing, more := difference(whole, r.keys(split)); len(whole) != 5 || missing+more > 0 {
		t.Errorf("%d elements; %d missing, %d more", len(whole), missing, more)
	}
	if got := r.hollow(split); !slices.Equal(got, []int{1}) {
		t.Errorf("records %v have no element, want number 1", got)
	}
}
