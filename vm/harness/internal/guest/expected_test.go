// SPDX-License-Identifier: BSD-3-Clause

package guest

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestTestNames(t *testing.T) {
	file := filepath.Join(t.TempDir(), "x_test.go")
	const src = `package x
func TestA(t *testing.T) {}
func Test(t *testing.T) {}
func Test_b(t *testing.T) {}
func TestÄ(t *testing.T) {}
func Testing() {}
func TestMain(m *testing.M) {}
func FuzzF(f *testing.F) {}
func BenchmarkB(b *testing.B) {}
func (x T) TestMethod(t *testing.T) {}
func helper() {}
`
	if err := os.WriteFile(file, []byte(src), 0o644); err != nil {
		t.Fatal(err)
	}
	got, err := testNames([]string{file})
	if want := []string{"TestA", "Test", "Test_b", "TestÄ", "FuzzF"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
	if _, err := testNames([]string{file + "x"}); err == nil {
		t.Error("a file that is not there is no error")
	}
}

func TestSelectTests(t *testing.T) {
	for _, tt := range []struct {
		expr string
		want string
	}{
		{"", "TestDump TestDumpLong TestFill FuzzX"},
		{"Dump", "TestDump TestDumpLong"},
		{"^TestDump$", "TestDump"},
		{"TestDump$/sub/^subsub", "TestDump"},
		{"TestDump$/a|TestFill/b", "TestDump TestFill"},
		{"TestDump$/a|b|Fuzz", "TestDump FuzzX"},
		{"Test(Fill|Dump$)/a", "TestDump TestFill"},
		{`Test[/|]|Fi[l(]l`, "TestFill"},
		{"Nosuch", ""},
	} {
		got, err := SelectTests(strings.Fields("TestDump TestDumpLong TestFill FuzzX"), tt.expr)
		if err != nil || strings.Join(got, " ") != tt.want {
			t.Errorf("%q: got %q, %v; want %q", tt.expr, got, err, tt.want)
		}
	}
	if _, err := SelectTests(nil, "Test("); err == nil {
		t.Error("no regular expression, and that is no error")
	}
}

func TestTestsToBeHeardOf(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a_test.go")
	if err := os.WriteFile(file, []byte("package a\n\nfunc TestA(*testing.T) {}\nfunc TestB(*testing.T) {}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	p := &Programs{testFiles: []string{file}}
	if got, err := p.Tests("B|A"); err != nil || !slices.Equal(got, []string{"TestA", "TestB"}) {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := p.Tests("Nosuch"); err == nil {
		t.Error("no test matches, and that is no error")
	}
}
