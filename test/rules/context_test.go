// SPDX-License-Identifier: BSD-3-Clause

package rules

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// No function uses cb->ctx as a type other than the one whose size it asserts,
// and only the cursors that show how others do it use cb->args.
// Rule 6.
func TestContextIsTyped(t *testing.T) {
	function := regexp.MustCompile(`(?m)^[a-z][^;{}=]*\([^;{}]*\)\n\{\n(?s:.*?)^\}`)
	cast := regexp.MustCompile(`(struct \w+) \*(?:\w+ = \(void \*\)|\))cb->ctx\b`)
	assert := regexp.MustCompile(`NL_ASSERT_CTX_FITS\((struct \w+)\)|static_assert\(sizeof\((struct \w+)\) <=\s+sizeof_field\(struct netlink_callback, ctx\)\)`)
	ctx := regexp.MustCompile(`cb->ctx\b`)
	args := regexp.MustCompile(`cb->args\b`)
	found := 0
	for _, pattern := range []string{"*.[ch]", "*/*.[ch]"} {
		files, err := filepath.Glob(filepath.Join(kmod, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			name := strings.TrimPrefix(file, kmod+"/")
			text, err := readSource(name)
			if err != nil {
				t.Fatal(err)
			}
			text = regexp.MustCompile(`(?s)/\*.*?\*/`).ReplaceAllString(text, "")
			for _, body := range function.FindAllString(text, -1) {
				if !ctx.MatchString(body) {
					continue
				}
				found++
				as, fits := cast.FindStringSubmatch(body), assert.FindStringSubmatch(body)
				switch {
				case as == nil:
					t.Errorf("%s: cb->ctx without a type:\n%s", name, body)
				case strings.Contains(body, "compat_refused_dump("): // compat_start() asserts
				case fits == nil || as[1] != fits[1]+fits[2]:
					t.Errorf("%s: cb->ctx as %s, but what is asserted to fit is %q:\n%s", name, as[1], fits, body)
				}
			}
			if args.MatchString(text) && name != "compare/cursor_bucket.c" && name != "compare/cursor_index.c" {
				t.Errorf("%s: cb->args in place of a typed context", name)
			}
		}
	}
	if found < 3 {
		t.Errorf("cb->ctx in %d functions: this test does not see it", found)
	}
}
