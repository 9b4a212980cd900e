// SPDX-License-Identifier: BSD-3-Clause

package rules

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Each link within the project leads to an existing file, and to a heading in
// it.
func TestLinksLeadSomewhere(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^():\s]+)\)`)
	links := 0
	read := func(name string) string {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Error(err)
		}
		return string(text)
	}
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && strings.HasPrefix(d.Name(), ".") && d.Name() != "..":
			return fs.SkipDir
		case filepath.Ext(path) != ".md":
			return nil
		}
		for _, m := range link.FindAllStringSubmatch(read(path), -1) {
			links++
			name, heading, _ := strings.Cut(m[1], "#")
			target := path
			if name != "" {
				target = filepath.Join(filepath.Dir(path), name)
			}
			if found, err := filepath.Glob(target); err != nil || found == nil {
				t.Errorf("%s: %s is not there", path, m[1])
			} else if heading != "" && !slices.Contains(anchors(read(target)), heading) {
				t.Errorf("%s: %s has no heading #%s", path, target, heading)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if links < 50 {
		t.Errorf("%d links: this test does not see them", links)
	}
}

// anchors returns the anchors of a page's headings.
func anchors(page string) (anchors []string) {
	for _, m := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(page, -1) {
		anchors = append(anchors, anchor(m[1]))
	}
	return anchors
}
