// SPDX-License-Identifier: BSD-3-Clause

// Package rules has the rules of a correct dump, as the page beside it gives them.
// The page has a folder of its own because Go embeds no file from outside a
// package's folder, and builds no package where C sources are.
package rules

import (
	_ "embed"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
)

//go:embed README.md
var page string

// A Rule is a section of the page.
type Rule struct {
	Number int
	Title  string
	Text   string // what stands below the heading, as Markdown
}

// All returns the rules in the order of the page, which is that of their numbers.
func All() []Rule { return slices.Clone(parsed()) }

// Get returns the rule of a number, and whether there is one.
func Get(n int) (Rule, bool) {
	all := parsed()
	if n < 1 || n > len(all) {
		return Rule{}, false
	}
	return all[n-1], true
}

var (
	parsed  = sync.OnceValue(func() []Rule { return Parse(page) })
	heading = regexp.MustCompile(`(?m)^## (?:(\d+)\. )?(.*)\n`)
)

// Parse returns the rules of a page: its sections whose heading has a number.
func Parse(page string) (all []Rule) {
	at := heading.FindAllStringSubmatchIndex(page, -1)
	for i, m := range at {
		if m[2] < 0 {
			continue
		}
		end := len(page)
		if i+1 < len(at) {
			end = at[i+1][0]
		}
		number, _ := strconv.Atoi(page[m[2]:m[3]])
		all = append(all, Rule{number, page[m[4]:m[5]], strings.Trim(page[m[1]:end], "\n")})
	}
	return all
}
