// SPDX-License-Identifier: BSD-3-Clause

package tools

import (
	"bytes"
	"encoding/json"
	"reflect"
	"testing"
)

// words returns a policy as the stock tool prints it, with the names of the
// spec.
func (s *spec) words(t *testing.T, set string, p policy) map[string]any {
	t.Helper()
	all := map[string]any{}
	for _, candidate := range s.Sets {
		if candidate.Name != set {
			continue
		}
		for i, a := range candidate.Attributes {
			if have, ok := p[uint16(i)+1]; ok {
				all[a.Name] = s.attributeWords(t, a, have)
			}
		}
	}
	if len(all) != len(p) {
		t.Fatalf("the spec's set %s has not all of %v", set, p)
	}
	return all
}

func (s *spec) attributeWords(t *testing.T, a specAttr, p attrPolicy) map[string]any {
	t.Helper()
	w := map[string]any{"type": p.kind}
	switch {
	case p.nested != nil:
		w["policy"] = s.words(t, a.Nested, p.nested)
	case p.mask != 0:
		w["mask"] = p.mask
	case p.max != 0:
		w["min-value"], w["max-value"] = p.min, p.max
	case p.maxLength != 0:
		w["max-length"] = p.maxLength
	}
	return w
}

// plain decodes JSON and keeps numbers as they are written, regardless of type.
func plain(t *testing.T, text []byte) (v any) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return v
}

// The stock tool's --policy prints the policies of the spec.
func TestYNLTellsThePolicy(t *testing.T) {
	setup(t)
	s := readSpec(t)
	requests := s.requests(t)
	olderKernel(t, requests)
	for _, o := range s.Operations.List {
		for mode, p := range requests[o.number] {
			if o.Dump == nil && len(p) < 4 {
				continue // only those with the largest policies: a run takes seconds
			}
			var got json.RawMessage
			ynl(t, &got, "--policy", "--"+mode, o.Name)
			want, err := json.Marshal(s.words(t, o.Set, p))
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(plain(t, got), plain(t, want)) {
				t.Errorf("%s of %s:\ngot  %s\nwant %s", mode, o.Name, got, want)
			}
		}
	}
}
