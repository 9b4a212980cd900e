// SPDX-License-Identifier: BSD-3-Clause

package guest

import (
	"encoding/json"
	"os"
	"os/exec"
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

func TestMarkFile(t *testing.T) {
	const src = `package x

func TestA(t *testing.T) {
	t.Log()
}
func TestB(*testing.T) {}
func TestC(_ *testing.T) {}
func TestMain(m *testing.M) {}
func (r R) TestD(t *testing.T) {}
func FuzzE(odd *testing.F) { odd.Fuzz(nil) }
func helper(t *testing.T) {}
`
	pkg, got, err := markFile(src)
	want := strings.NewReplacer("TestA(t *testing.T) {", "TestA(t *testing.T) { vmMarkTest(t);",
		"FuzzE(odd *testing.F) {", "FuzzE(odd *testing.F) { vmMarkTest(odd);").Replace(src)
	if err != nil || pkg != "x" || got != want {
		t.Errorf("%q, %v:\n%s", pkg, err, got)
	}
	if _, _, err := markFile("package"); err == nil {
		t.Error("no Go, and that is no error")
	}
}

// The copies compile, in both packages of a directory, and a failure is still
// told with the file and line of the original.
func TestMarkedTestsCompile(t *testing.T) {
	dir := t.TempDir()
	files := map[string]string{
		"go.mod":     "module x\n",
		"a_test.go":  "package x\n\nimport \"testing\"\n\nfunc TestA(t *testing.T) {\n\tt.Error(\"no\")\n}\n",
		"b_test.go":  "package x_test\n\nimport \"testing\"\n\nfunc TestB(t *testing.T) {}\n",
		"b2_test.go": "package x_test\n",
	}
	var tests []string
	for name, text := range files {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(name, "_test.go") {
			tests = append(tests, file)
		}
	}
	over := filepath.Join(t.TempDir(), "overlay")
	overlay, err := markTests(tests, over)
	if err != nil {
		t.Fatal(err)
	}
	var read struct{ Replace map[string]string }
	text, _ := os.ReadFile(overlay)
	if err := json.Unmarshal(text, &read); err != nil || len(read.Replace) != 5 {
		t.Errorf("%d files are replaced (%v), want 3 and a helper for each package", len(read.Replace), err)
	}
	bin := filepath.Join(dir, "x.test")
	build := exec.Command("go", "test", "-c", "-overlay", overlay, "-o", bin, ".")
	build.Dir = dir
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	symbols, err := os.ReadFile(bin)
	if err != nil || !strings.Contains(string(symbols), "bulkdump-vm: test ") {
		t.Errorf("the marks are not in the binary: %v", err)
	}
	out, _ := exec.Command(bin, "-test.run=TestA").CombinedOutput()
	if !strings.Contains(string(out), "a_test.go:6: no") {
		t.Errorf("it says %s", out)
	}
	if got, _ := os.ReadFile(filepath.Join(dir, "a_test.go")); string(got) != files["a_test.go"] {
		t.Error("the original was changed")
	}
}
