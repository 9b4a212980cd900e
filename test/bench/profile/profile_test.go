// SPDX-License-Identifier: BSD-3-Clause

package profile

import (
	"os"
	"slices"
	"strings"
	"testing"
)

const kallsyms = `ffffffff81000000 T _stext
ffffffff81002000 d some_data
ffffffff81001000 T one
ffffffff81003000 t two
ffffffffc0001000 t three	[module]
`

func TestAttribute(t *testing.T) {
	s := &Symbols{all: []symbol{{0x402000, 0x402020, "main.read"}, {0x401000, 0x402000, "main.main"}}}
	if err := s.AddKernel(strings.NewReader(kallsyms)); err != nil {
		t.Fatal(err)
	}
	if got := s.Address("two"); got != 0xffffffff81003000 {
		t.Errorf("two is at %x", got)
	}
	const blocks = `ffffffff81001000 3 2
ffffffff81002fff 1 1
ffffffff81003000 10 10
ffffffffc0001234 1 5
402010 2 7
401fff 1 2
1000 1 3
402020 1 1
`
	got, err := s.Attribute(strings.NewReader(blocks))
	want := []Function{
		{"two", true, 100}, {"main.read", false, 14}, {"one", true, 7}, {"three", true, 5}, {"(unknown)", false, 4}, {"main.main", false, 2},
	}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v; want %v", got, err, want)
	}

	var b strings.Builder
	if err := Write(&b, got, 10); err != nil {
		t.Fatal(err)
	}
	const table = "  KERNEL  USER  FUNCTION\n    10.0        two\n           1.4  main.read\n    11.2   2.0  all\n"
	if b.String() != table {
		t.Errorf("got\n%s\nwant\n%s", b.String(), table)
	}
}

func TestBadInput(t *testing.T) {
	s := new(Symbols)
	if err := s.AddKernel(strings.NewReader("no symbols\n")); err == nil {
		t.Error("kallsyms of something else")
	}
	if _, err := s.Attribute(strings.NewReader("12 x 3\n")); err == nil {
		t.Error("blocks of something else")
	}
	if err := s.AddProgram(os.DevNull); err == nil {
		t.Error("a program that is none")
	}
}
