// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"bulkdump/cmd/dumpcheck/internal/check"
	"bulkdump/cmd/dumpcheck/internal/report"
	"bulkdump/cmd/internal/term"
	"bulkdump/kmod/rules"
)

// explainAll explains checks and rules, or lists the checks.
func (a *app) explainAll(ids []string) error {
	var b strings.Builder
	if len(ids) == 0 {
		a.listChecks(&b)
	}
	for i, id := range ids {
		if i > 0 {
			b.WriteString("\n")
		}
		if err := a.explainID(&b, id); err != nil {
			return err
		}
	}
	_, err := io.WriteString(a.stdout, b.String())
	return err
}

func (a *app) colored() bool { return a.color.Colored(a.width != nil) }

// columns is the terminal's width, but none that is hard to read.
func (a *app) columns() int {
	if a.width == nil {
		return 80
	}
	return min(a.width(), 100)
}

func (a *app) bold(text string) string {
	if a.colored() {
		return term.Bold.Paint(text)
	}
	return text
}

func (a *app) listChecks(b *strings.Builder) {
	id, rule := len("CHECK"), len("RULE")
	for _, c := range a.checks {
		id, rule = max(id, len(c.ID)), max(rule, len(numbers(c.Rules)))
	}
	fmt.Fprintf(b, "%-*s  %-*s  %s\n", id, "CHECK", rule, "RULE", "A DUMP THAT PASSES IT")
	for _, c := range a.checks {
		fmt.Fprintf(b, "%-*s  %-*s  %s\n", id, c.ID, rule, numbers(c.Rules), c.Title)
	}
}

// numbers are the numbers of rules: "4, 8".
func numbers(rules []int) string {
	return strings.Trim(strings.Join(strings.Fields(fmt.Sprint(rules)), ", "), "[]")
}

func (a *app) explainID(b *strings.Builder, id string) error {
	if n, err := strconv.Atoi(strings.TrimPrefix(id, "rule ")); err == nil {
		r, ok := rules.Get(n)
		if !ok {
			return usagef("--explain: there is no rule %d", n)
		}
		var by []string
		for _, c := range a.checks {
			for _, r := range report.RulesOf(c.Rules) {
				if r.Number == n {
					by = append(by, c.ID)
				}
			}
		}
		if len(by) > 0 {
			defer fmt.Fprintf(b, "\nChecked by: %s\n", strings.Join(by, ", "))
		}
		a.explainRule(b, r)
		return nil
	}
	if err := checkNames("--explain", []string{id}, a.ids()); err != nil {
		return err
	}
	for _, c := range a.checks {
		if c.ID == id {
			a.explainCheck(b, c)
		}
	}
	return nil
}

func (a *app) explainCheck(b *strings.Builder, c check.Check) {
	fmt.Fprintf(b, "%s\n\n", a.bold("Check "+c.ID))
	text := fmt.Sprintf("A dump that passes it %s.\n\nIf it does not: %s.\n\n%s\n", c.Title, c.Why, c.How)
	b.WriteString(report.Markdown(text, a.columns(), a.colored()))
	for _, r := range report.RulesOf(c.Rules) {
		if rule, ok := rules.Get(r.Number); ok {
			b.WriteString("\n")
			a.explainRule(b, rule)
		}
	}
}

func (a *app) explainRule(b *strings.Builder, r rules.Rule) {
	fmt.Fprintf(b, "%s\n\n", a.bold(fmt.Sprintf("Rule %d. %s", r.Number, r.Title)))
	b.WriteString(report.Markdown(r.Text, a.columns(), a.colored()))
}
