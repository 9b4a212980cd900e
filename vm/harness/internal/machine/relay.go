// SPDX-License-Identifier: BSD-3-Clause

package machine

import (
	"bytes"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"

	"bulkdump/vm/harness/internal/host"
)

// relay copies data as it comes, and counts it. It reads on after a failed write,
// so that the guest does not wait forever, and returns that error at the end.
func relay(from io.Reader, to io.Writer, n *atomic.Int64, progress chan<- struct{}) (lost error) {
	buf := make([]byte, 64<<10)
	for {
		got, err := from.Read(buf)
		if got > 0 {
			if _, err := to.Write(buf[:got]); err != nil && lost == nil {
				lost = fmt.Errorf("relay the command's output: %w", err)
			}
			n.Add(int64(got))
			select {
			case progress <- struct{}{}:
			default:
			}
		}
		if err != nil {
			return lost
		}
	}
}

// readConsole returns the console's lines. It closes panicked as soon as it sees a
// panic. It reads on after a failed write, and returns that error at the end.
func readConsole(from io.Reader, to io.Writer, panicked chan<- struct{}) (lines []string, lost error) {
	var text bytes.Buffer
	buf := make([]byte, 16<<10)
	for scanned := 0; ; {
		n, err := from.Read(buf)
		text.Write(buf[:n])
		if _, err := to.Write(buf[:n]); err != nil && lost == nil {
			lost = fmt.Errorf("keep the console: %w", err)
		}
		if panicked != nil && bytes.Contains(text.Bytes()[scanned:], []byte("Kernel panic - not syncing")) {
			close(panicked)
			panicked = nil
		}
		if i := bytes.LastIndexByte(text.Bytes()[scanned:], '\n'); i >= 0 {
			scanned += i + 1
		}
		if err != nil {
			return host.Lines(text.String()), lost
		}
	}
}

// kmsgLines turns a record of /dev/kmsg into the lines that dmesg shows. It leaves
// out the record's dictionary, which is on lines of its own.
func kmsgLines(record string) []string {
	head, text, ok := strings.Cut(record, ";")
	f := strings.Split(head, ",")
	if !ok || len(f) < 3 {
		return []string{record}
	}
	usec, err := strconv.ParseUint(f[2], 10, 64)
	if err != nil {
		return []string{record}
	}
	text, _, _ = strings.Cut(text, "\n")
	lines := strings.Split(unescape(text), "\n")
	for i, line := range lines {
		lines[i] = fmt.Sprintf("[%5d.%06d] %s", usec/1e6, usec%1e6, line)
	}
	return lines
}

var escaped = regexp.MustCompile(`\\x[0-9a-f]{2}`)

func unescape(text string) string {
	return escaped.ReplaceAllStringFunc(text, func(s string) string {
		b, _ := strconv.ParseUint(s[2:], 16, 8)
		return string([]byte{byte(b)})
	})
}
