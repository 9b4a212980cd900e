// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"
)

// kmemleakFile is there where the kernel has kmemleak.
const kmemleakFile = "/sys/kernel/debug/kmemleak"

// kmemleakAge is how old an object must be for kmemleak to report it.
const kmemleakAge = 5 * time.Second

// findLeaks has kmemleak look for what nothing points to any more, and writes
// what it found to the kernel's log, where the host sees it. Two scans: an
// object whose content changed since the scan before is not reported, and at
// its first scan every object counts as changed.
func findLeaks() error {
	if _, err := os.Stat(kmemleakFile); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	for scan := range 2 {
		if scan > 0 {
			time.Sleep(kmemleakAge + 100*time.Millisecond)
		}
		if err := os.WriteFile(kmemleakFile, []byte("scan"), 0); err != nil {
			return fmt.Errorf("kmemleak does not scan: %w", err)
		}
	}
	text, err := os.ReadFile(kmemleakFile)
	if err != nil {
		return fmt.Errorf("kmemleak does not tell: %w", err)
	}
	return writeLog(leakLines(string(text)))
}

// maxLeakLines bounds what a leak in a loop does to the log.
const maxLeakLines = 400

// leakLines is kmemleak's report, in lines for the log. None is cut off in
// silence.
func leakLines(report string) []string {
	var lines []string
	for line := range strings.Lines(report) {
		if line = strings.TrimRight(line, "\n"); line != "" {
			lines = append(lines, "kmemleak: "+line)
		}
	}
	if more := len(lines) - maxLeakLines; more > 0 {
		lines = append(lines[:maxLeakLines], fmt.Sprintf("kmemleak: and %d more lines", more))
	}
	return lines
}

// writeLog writes lines to the kernel's log, a record each.
func writeLog(lines []string) error {
	log, err := os.OpenFile("/dev/kmsg", os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer log.Close()
	for _, line := range lines {
		if _, err := log.WriteString("<4>" + line); err != nil {
			return err
		}
	}
	return nil
}
