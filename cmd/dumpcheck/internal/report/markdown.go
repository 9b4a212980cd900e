// SPDX-License-Identifier: BSD-3-Clause

package report

import (
	"regexp"
	"strings"
	"unicode/utf8"

	"bulkdump/cmd/internal/term"
)

// Marks stand for the beginning and the end of what a terminal shows in another
// way. They take no column.
const (
	boldOn, boldOff = "\x01", "\x02"
	codeOn, codeOff = "\x03", "\x04"
)

var (
	markdownLink = regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`)
	markdownBold = regexp.MustCompile(`\*\*([^*]+)\*\*`)
	markdownCode = regexp.MustCompile("`([^`]+)`")
	marks        = strings.NewReplacer(boldOn, "", boldOff, "", codeOn, "", codeOff, "")
)

func columnsOf(text string) int { return utf8.RuneCountInString(marks.Replace(text)) }

// Markdown renders text for a terminal: code is indented, links have no address,
// paragraphs are filled. Without colors, code keeps its quotes.
func Markdown(text string, width int, colors bool) string {
	var out strings.Builder
	var paragraph []string
	show := marks
	if colors {
		const off = "\x1b[0m"
		show = strings.NewReplacer(boldOn, string(term.Bold), boldOff, off, codeOn, string(term.Cyan), codeOff, off)
	}
	flush := func() {
		if len(paragraph) == 0 {
			return
		}
		text := markdownLink.ReplaceAllString(strings.Join(paragraph, " "), "$1")
		text = markdownBold.ReplaceAllString(text, boldOn+"$1"+boldOff)
		if colors {
			text = markdownCode.ReplaceAllString(text, codeOn+"$1"+codeOff)
		}
		head := ""
		if strings.HasPrefix(text, "- ") {
			head = "  "
		}
		for i, line := range fill(text, width-len(head), width == 0) {
			if i > 0 {
				line = head + line
			}
			out.WriteString(show.Replace(line) + "\n")
		}
		paragraph = nil
	}
	code := false
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		switch {
		case strings.HasPrefix(line, "```"):
			flush()
			code = !code
		case code:
			if line != "" {
				line = "    " + line
				if colors {
					line = term.Cyan.Paint(line)
				}
			}
			out.WriteString(line + "\n")
		case line == "" || strings.HasPrefix(line, "|"):
			flush()
			out.WriteString(line + "\n")
		case strings.HasPrefix(line, "- ") || strings.HasPrefix(line, "#"):
			flush()
			paragraph = append(paragraph, strings.TrimLeft(line, "# "))
		default:
			paragraph = append(paragraph, strings.TrimSpace(line))
		}
	}
	flush()
	return out.String()
}
