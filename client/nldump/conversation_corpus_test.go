// SPDX-License-Identifier: BSD-3-Clause

package nldump_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The corpus of FuzzConversation has the shortest conversation for each way in
// which something ends. The bytes of a conversation mean something else once a
// choice is added or left out; then make the corpus again:
//
//	rm -r testdata/fuzz/FuzzConversation
//	go test -run TestConversations -datagrams 1000000 -corpus testdata/fuzz/FuzzConversation

var corpusDir = flag.String("corpus", "", "the directory to which TestConversations writes the shortest conversation of each kind")

// corpus is the shortest choices by what they show.
type corpus map[string][]byte

// keep keeps a conversation if it is the shortest that shows something.
func (c corpus) keep(choices []byte, all []outcome) {
	choices = bytes.TrimRight(choices, "\x00") // that is what follows the last one
	for _, o := range all {
		for _, name := range o.shows() {
			if kept, ok := c[name]; !ok || len(choices) < len(kept) {
				c[name] = choices
			}
		}
	}
}

// shows is what an operation is an example of.
func (o outcome) shows() (names []string) {
	kind := func(of string, f fault) {
		f.kernel, f.cut.Size = nil, 0
		if f.kinds != 0 {
			names = append(names, of+strings.ReplaceAll(f.String(), " ", "-"))
		}
	}
	kind("ends-", o.fault)
	for i, s := range o.states {
		kind("drain-", s.fault)
		if i > 0 && s.fault.kinds == 0 && s.idle && !o.states[i-1].idle {
			kind("drained-after-", o.fault)
		}
	}
	st := o.states[0].stats
	for name, shown := range map[string]bool{
		"complete":                o.fault.kinds == 0 && st.Records > 2 && st.Pages > 1,
		"panic":                   o.panicked,
		"left-and-idle":           o.fault.kinds == 0 && o.states[0].idle && st.Interrupted,
		"left-and-busy":           o.fault.kinds == 0 && !o.states[0].idle,
		"filtered":                st.Filtered,
		"foreign":                 len(o.foreign) > 0,
		"foreign-not-asked-for":   st.Foreign > 0 && len(o.foreign) == 0,
		"empty-page":              st.EmptyPages > 0 && o.fault.kinds == 0,
		"resumed":                 st.Resumed > 0,
		"resumed-twice":           st.Resumed > 1,
		"resumed-and-interrupted": st.Resumed > 0 && st.Interrupted && o.fault.kinds == kindInterrupted,
		"retried":                 o.fault.kinds == 0 && bytes.Count(o.sent, []byte(";")) > 1,
		"large-page":              st.LargestPage > 8000,
		"kernel-after-records":    o.fault.kernel != nil && o.fault.kernel.Records > 0,
		"kernel-explained":        o.fault.kernel != nil && o.fault.kernel.Message != "" && o.fault.kernel.Offset != 0,
		"kernel-missing":          o.fault.kernel != nil && o.fault.kernel.MissingType != 0 && o.fault.kernel.MissingNest != 0,
	} {
		if shown {
			names = append(names, name)
		}
	}
	return names
}

// write writes a file for each.
func (c corpus) write(t *testing.T, dir string) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, choices := range c {
		text := fmt.Sprintf("go test fuzz v1\n[]byte(%q)\n", choices)
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
