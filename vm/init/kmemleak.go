// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// kmemleakFile exists if the kernel has kmemleak.
const kmemleakFile = "/sys/kernel/debug/kmemleak"

// kmemleakAge is how old an object must be for kmemleak to report it.
const kmemleakAge = 5 * time.Second

// findLeaks lets kmemleak look for objects that nothing points to any more, and
// writes its report to the kernel's log, where the host sees it. It scans
// twice: kmemleak does not report an object whose content changed since the
// last scan, and at its first scan every object counts as changed.
func findLeaks() error {
	if _, err := os.Stat(kmemleakFile); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	for n := range 2 {
		if n > 0 {
			time.Sleep(kmemleakAge + 100*time.Millisecond)
		}
		if err := scan(); err != nil {
			return fmt.Errorf("kmemleak scan: %w", err)
		}
	}
	text, err := os.ReadFile(kmemleakFile)
	if err != nil {
		return fmt.Errorf("kmemleak report: %w", err)
	}
	return writeLog(leakLines(string(text)))
}

// scan makes kmemleak scan once, to the end. A signal would stop the scan, and
// kmemleak would report neither leaks nor an error (scan_should_stop() in
// mm/kmemleak.c). Go's scheduler sends SIGURG to a thread that has run Go code
// for 10 ms, and the signal may arrive during the write.
func scan() error {
	return withoutSignals(func() error { return os.WriteFile(kmemleakFile, []byte("scan"), 0) })
}

// withoutSignals calls f in a thread that blocks all signals.
func withoutSignals(f func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var all, before unix.Sigset_t
	for i := range all.Val {
		all.Val[i] = ^all.Val[i]
	}
	if err := unix.PthreadSigmask(unix.SIG_BLOCK, &all, &before); err != nil {
		return err
	}
	err := f()
	return errors.Join(err, unix.PthreadSigmask(unix.SIG_SETMASK, &before, nil))
}

// maxLeakLines limits how much a leak in a loop writes to the log.
const maxLeakLines = 400

// leakLines turns kmemleak's report into lines for the log. If it cuts the
// report, a line says so.
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

// writeLog writes each line as a record of the kernel's log.
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
