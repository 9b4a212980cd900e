// SPDX-License-Identifier: BSD-3-Clause

package report

import (
	"fmt"
	"strings"
	"unicode"

	"bulkdump/kmod/rules"
)

// rulesPage is the page that has the rules, in this project's source.
const rulesPage = "kmod/rules/README.md"

// RulesOf returns the rules with these numbers.
func RulesOf(numbers []int) []Rule {
	var all []Rule
	for _, n := range numbers {
		if r, ok := rules.Get(n); ok {
			all = append(all, Rule{n, r.Title, fmt.Sprintf("%s#%d-%s", rulesPage, n, anchor(r.Title))})
		}
	}
	return all
}

// anchor is what a heading is called in a link.
func anchor(title string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
			return unicode.ToLower(r)
		}
		return -1
	}, title)
}
