// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"os"
	"strings"
)

// color is the value of --color. Its zero value is auto.
type color string

const (
	colorAuto   color = "auto"
	colorAlways color = "always"
	colorNever  color = "never"
)

func (c *color) Set(text string) error {
	switch v := color(text); v {
	case colorAuto, colorAlways, colorNever:
		*c = v
		return nil
	}
	return usagef("there are auto, always and never")
}

func (c *color) String() string {
	if *c == "" {
		return string(colorAuto)
	}
	return string(*c)
}

func (c *color) Type() string { return "WHEN" }

// Colors of a line, as a terminal takes them.
const (
	plain  = ""
	dim    = "\x1b[2m"
	yellow = "\x1b[33m"
	red    = "\x1b[31m"
)

// colored tells whether stdout is to have colors: that of somebody who looks at
// it, unless the environment says no (no-color.org).
func (a *app) colored() bool {
	switch a.color {
	case colorAlways:
		return true
	case colorNever:
		return false
	}
	return a.terminal && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}

// paint gives each line of a text the color that of says, if there are to be
// any. The text was laid out before: what colors a terminal has a width, too.
func (a *app) paint(text string, of func(line int) string) string {
	if !a.colored() {
		return text
	}
	var b strings.Builder
	n := 0
	for line := range strings.Lines(text) {
		c := of(n)
		n++
		if c == plain {
			b.WriteString(line)
			continue
		}
		b.WriteString(c + strings.TrimSuffix(line, "\n") + "\x1b[0m\n")
	}
	return b.String()
}
