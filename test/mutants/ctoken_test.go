// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"slices"
	"strings"
	"testing"
)

func TestTokenizerSkipsWhatIsNoCode(t *testing.T) {
	var got []string
	for _, tok := range tokenize(`
#define LESS(a, b) \
	((a) < (b))
/* a < b */ x->y <<= 'a' + '\''; // a < b
s = "a < \" /* b";
  # if A < B
f(a >= 1);`) {
		got = append(got, tok.text)
	}
	want := strings.Fields(`x -> y <<= 'a' + '\'' ; s = "a_<_\"_/*_b" ; f ( a >= 1 ) ;`)
	for i := range want {
		want[i] = strings.ReplaceAll(want[i], "_", " ")
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q, and not %q", got, want)
	}
}

func TestTokensSayWhereTheyAre(t *testing.T) {
	src := "a /* b */ =\n\t\"c\" + d;"
	for _, tok := range tokenize(src) {
		if src[tok.at:tok.end()] != tok.text {
			t.Errorf("%q is at %q", tok.text, src[tok.at:tok.end()])
		}
	}
}

// A source that ends early makes no tokens beyond its end.
func TestTokenizerTakesAnything(t *testing.T) {
	whole := "#define X \\\n1\nint f(void)\n{ /* x */ return \"a\\\"\" + 'b'; }"
	for i := range whole {
		src := whole[:i]
		for _, tok := range tokenize(src) {
			if tok.end() > len(src) {
				t.Errorf("%q: %q ends at %d", src, tok.text, tok.end())
			}
		}
		mutateC("x.c", src)
	}
}
