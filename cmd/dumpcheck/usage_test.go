// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/spf13/pflag"

	"bulkdump/cmd/dumpcheck/internal/check"
	"bulkdump/cmd/dumpcheck/target"
)

func TestWrongUsage(t *testing.T) {
	for args, want := range map[string]string{
		"":                                    "give a family, or --all",
		"foo --only keys":                     `--only: there is no check "keys": did you mean key?`,
		"foo --ignore end,chang":              `--ignore: there is no check "chang": did you mean change?`,
		"foo --only zzzzzzz":                  `--only: there is no check "zzzzzzz": see dumpcheck --explain`,
		"--explain kye":                       `--explain: there is no check "kye": did you mean key?`,
		"--explain=kye":                       `did you mean key?`,
		"--explain 4711":                      "--explain: there is no rule 4711",
		"foo -o yaml":                         `there is no output format "yaml", only table, json, jsonl, ktap`,
		"foo --json=false --ktap=false --all": `"foo": a family makes no sense here`,
		"foo --json --ktap":                   "--json and --ktap exclude each other",
		"foo --json -o table":                 "--output and --json exclude each other",
		"foo --all":                           `"foo": a family makes no sense here`,
		"--all --list":                        "--all and --list exclude each other",
		"--all --key 1":                       "are for one family",
		"--all --change x":                    "are for one family",
		"--list --json":                       `--list has no output format "json"`,
		"foo --color blue":                    "must be auto, always or never",
		"foo --wait -1s":                      "must be a time such as 90s or 2h, and not negative",
		"foo --timeout soon":                  "must be a time",
		"foo --max-pages 0":                   "must be a number from 1 on",
		"foo --max-bytes many":                "must be a number from 1 on",
		"foo --rounds -3":                     "must be a number from 1 on",
		"foo --as-user no-such-user":          `--as-user: there is no user "no-such-user"`,
		"foo --nonsense":                      "unknown flag: --nonsense",
		"completion ksh":                      "give one of bash, zsh, fish",
		"man":                                 "give one directory",
	} {
		f := &fakeKernel{dumps: []string{"foo a"}}
		got := run(t, f, strings.Fields(args)...)
		got.check(t, exitUsage, "", want)
		if got.stdout != "" || len(f.checked) > 0 || strings.Count(got.stderr, "\n") != 2 {
			t.Errorf("%q: %+v", args, got)
		}
	}
}

// What is given and empty is a mistake: the variable of a script that is not set. So is
// what makes no sense for these dumps.
func TestWrongArguments(t *testing.T) {
	f := &fakeKernel{dumps: []string{"foo a"}}
	for _, flag := range []string{"--change", "--second", "--key", "--junit", "--as-user"} {
		run(t, f, "foo", flag, "").check(t, exitUsage, "", flag+" is empty")
	}
	run(t, f, "").check(t, exitUsage, "", "a family has no name")
	two := &fakeKernel{dumps: []string{"foo a", "foo b"}}
	run(t, two, "foo", "--second", "true").check(t, exitUsage, "", "--second is for one dump, and these are 2: foo a, foo b")
	run(t, f, "foo", "--as-user", "0").check(t, exitUsage, "", "user 0 has all rights")
	run(t, f, "foo", "--as-user", "root").check(t, exitUsage, "", "without rights")
	run(t, f, "foo", "--only", "end, key").check(t, exitOK, "2 checks passed", "")
}

func TestHelp(t *testing.T) {
	f := &fakeKernel{}
	got := run(t, f, "--help")
	got.check(t, exitOK, "Usage:\n  dumpcheck FAMILY [COMMAND]", "")
	a, _, _ := newApp(f)
	root := a.rootCommand()
	for line := range strings.Lines(root.Long + "\n" + root.Example + "\n") {
		if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > 80 {
			t.Errorf("%d columns: %s", n, line)
		}
	}
	for _, code := range []string{"0 nothing", "1 broken", "2 weak", "3 wrong usage", "4\nnothing to check", "5 failed", "130 ended by SIGINT"} {
		if !strings.Contains(root.Long, code) {
			t.Errorf("the help does not tell exit code %q", code)
		}
	}
	// Each flag is told of, in the README, too.
	readme := readREADME(t)
	root.Flags().VisitAll(func(flag *pflag.Flag) {
		if flag.Usage == "" || !strings.Contains(got.stdout, "--"+flag.Name) {
			t.Errorf("--%s is not in the help", flag.Name)
		}
		if !strings.Contains(readme, "--"+flag.Name) && flag.Name != "help" && flag.Name != "version" {
			t.Errorf("--%s is not in the README", flag.Name)
		}
	})
	run(t, f, "--version").check(t, exitOK, "dumpcheck ", "")
}

func readREADME(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestExplain(t *testing.T) {
	f := &fakeKernel{}
	run(t, f, "--explain").check(t, exitOK, "CHECK   RULE  A DUMP THAT PASSES IT\nend     1     ends with NLMSG_DONE\nkey     3     sends no record twice\n", "")
	for _, args := range [][]string{{"--explain", "key"}, {"--explain=key"}} {
		got := run(t, f, args...)
		got.check(t, exitOK, "Check key\n\nA dump that passes it sends no record twice.\n\nIf it does not: a reader counts twice.\n\nIt counts.\n\nRule 3. ", "")
		for _, want := range []string{"\n    for (", "Wrong", "Learned from"} {
			if !strings.Contains(got.stdout, want) {
				t.Errorf("no %q in:\n%s", want, got.stdout)
			}
		}
		for line := range strings.Lines(got.stdout) {
			if strings.Contains(line, "](") || strings.Contains(line, "\x1b") || strings.Contains(line, "```") {
				t.Errorf("markup, or color: %q", line)
			}
		}
	}
	run(t, f, "--explain", "3").check(t, exitOK, "\nChecked by: key\n", "")
	run(t, f, "--explain", "key,1").check(t, exitOK, "\n\nRule 1. ", "")
	run(t, f, "--explain", "all").check(t, exitOK, "CHECK   RULE", "")
	run(t, f, "--explain", "end", "1").check(t, exitOK, "\n\nRule 1. ", "")
	run(t, f, "--explain", "key", "--color", "always").check(t, exitOK, "\x1b[1mCheck key\x1b[0m\n", "")
}

// Each check says what its breach means, and the ids are short words.
func TestChecksExplainThemselves(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range check.All {
		if c.Title == "" || c.Why == "" || c.How == "" || seen[c.ID] || strings.Trim(c.ID, "abcdefghijklmnopqrstuvwxyz") != "" {
			t.Errorf("%+v", c)
		}
		seen[c.ID] = true
	}
}

func TestVersion(t *testing.T) {
	setting := func(key, value string) debug.BuildSetting { return debug.BuildSetting{Key: key, Value: value} }
	for _, tt := range []struct {
		version  string
		settings []debug.BuildSetting
		want     string
	}{
		{"v1.2.3", nil, "v1.2.3"},
		{"v1.2.3", []debug.BuildSetting{setting("vcs.revision", "abc"), setting("vcs.modified", "false")}, "v1.2.3"},
		{"(devel)", nil, "(devel)"},
		{"(devel)", []debug.BuildSetting{setting("vcs.revision", "0123456789abcdef"), setting("vcs.modified", "true")}, "0123456789ab+modified"},
		{"v0.0.0-2026+dirty", []debug.BuildSetting{setting("vcs.revision", "abc"), setting("vcs.modified", "true")}, "v0.0.0-2026+dirty"},
	} {
		info := &debug.BuildInfo{Settings: tt.settings}
		info.Main.Version = tt.version
		if got := version(info, true); got != tt.want {
			t.Errorf("%+v: got %s", tt, got)
		}
	}
	if got := version(nil, false); got != "unknown" {
		t.Errorf("got %s", got)
	}
}

func TestList(t *testing.T) {
	f := &fakeKernel{dumps: []string{"foo a", "bar long-name"}}
	run(t, f, "--list").check(t, exitOK, "DUMP           CHANGES  KEY\nfoo a          -        -\nbar long-name  -        -\n", "")
	run(t, f, "--list", "foo", "--change", "x", "--key", "7").check(t, exitOK, "foo a  known    7\n", "")
	if len(f.checked) > 0 {
		t.Errorf("checked %d", len(f.checked))
	}
}

func TestNearest(t *testing.T) {
	names := []string{"end", "done", "multi", "key", "pages", "interleaved", "second"}
	for name, want := range map[string]string{
		"ends": "end", "don": "done", "mulit": "multi", "kee": "key", "page": "pages", "interleave": "interleaved", "x": "", "unrelated": "",
	} {
		if got := strings.Join(nearest(name, names), " "); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	for _, tt := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"abc", "", 3}, {"abc", "abd", 1}, {"abc", "bc", 1}, {"kitten", "sitting", 3}} {
		if got := target.Distance(tt.a, tt.b); got != tt.want {
			t.Errorf("%q, %q: got %d, want %d", tt.a, tt.b, got, tt.want)
		}
	}
}

func TestCompletion(t *testing.T) {
	f := &fakeKernel{dumps: []string{"foo a", "foo b", "bar c"}}
	for _, tt := range []struct {
		args []string
		want []string
	}{
		{[]string{""}, []string{"completion", "help", "foo", "bar"}},
		{[]string{"foo", ""}, []string{"a", "b"}},
		{[]string{"foo", "a", ""}, nil},
		{[]string{"foo", "-o", ""}, formats},
		{[]string{"foo", "--color", ""}, []string{"auto", "always", "never"}},
		{[]string{"foo", "--only", ""}, []string{"end", "key", "change"}},
		{[]string{"--explain", ""}, []string{"end", "key", "change"}},
	} {
		got := run(t, f, append([]string{"__complete"}, tt.args...)...)
		var words []string
		for line := range strings.Lines(got.stdout) {
			word, _, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
			if !strings.HasPrefix(word, ":") {
				words = append(words, word)
			}
		}
		if !slices.Equal(words, tt.want) {
			t.Errorf("%q: offered %q, want %q", tt.args, words, tt.want)
		}
	}
	for shell, want := range map[string]string{"bash": "complete -o", "zsh": "#compdef dumpcheck", "fish": "complete -c dumpcheck"} {
		run(t, f, "completion", shell).check(t, exitOK, want, "")
	}
	dir := t.TempDir()
	run(t, f, "man", dir).check(t, exitOK, "", "")
	text, err := os.ReadFile(filepath.Join(dir, "dumpcheck.1"))
	if err != nil || !strings.Contains(string(text), "Exit codes: 0 nothing worse than a note") {
		t.Errorf("%v: %s", err, text)
	}
}

// The JSON of all formats says which check it is.
func TestJSONL(t *testing.T) {
	f := &fakeKernel{dumps: []string{"foo a"}, found: oneFinding(check.Weak)}
	var ids []string
	for line := range strings.Lines(run(t, f, "foo", "-o", "jsonl").stdout) {
		var c struct{ Check string }
		if err := json.Unmarshal([]byte(line), &c); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, c.Check)
	}
	if !slices.Equal(ids, []string{"end", "key", "change"}) {
		t.Errorf("got %q", ids)
	}
}
