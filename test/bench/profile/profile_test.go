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
	const blocks = `ffffffff81001000 3 2 0 0
ffffffff81002fff 1 1 7 2
ffffffff81003000 10 10 30 20
ffffffffc0001234 1 5 0 0
402010 2 7 0 0
401fff 1 2 0 0
1000 1 3 1 0
402020 1 1 0 0
`
	got, err := s.Attribute(strings.NewReader(blocks))
	want := []Function{
		{"two", true, 100, [2]uint64{30, 20}}, {"main.read", false, 14, [2]uint64{}}, {"one", true, 7, [2]uint64{7, 2}},
		{"three", true, 5, [2]uint64{}}, {"(unknown)", false, 4, [2]uint64{1, 0}}, {"main.main", false, 2, [2]uint64{}},
	}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v; want %v", got, err, want)
	}

	var b strings.Builder
	if err := Write(&b, got, 10); err != nil {
		t.Fatal(err)
	}
	const table = `  KERNEL  USER  L1 MISSES  L2 MISSES  FUNCTION
    10.0             3.00       2.00  two
           1.4       0.00       0.00  main.read
     0.7             0.70       0.20  one
           0.4       0.10       0.00  (unknown)
    11.2   2.0       3.80       2.20  all
`
	if b.String() != table {
		t.Errorf("got\n%s\nwant\n%s", b.String(), table)
	}
}

func TestBadInput(t *testing.T) {
	s := new(Symbols)
	if err := s.AddKernel(strings.NewReader("no symbols\n")); err == nil {
		t.Error("kallsyms of something else")
	}
	if _, err := s.Attribute(strings.NewReader("12 3 4 5 x\n")); err == nil {
		t.Error("blocks of something else")
	}
	if err := s.AddProgram(os.DevNull); err == nil {
		t.Error("a program that is none")
	}
}
