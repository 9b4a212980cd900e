// SPDX-License-Identifier: BSD-3-Clause

// Package peak returns the peak size of a process.
package peak

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// RSS returns the peak size of a process in bytes. The process is "self" or a
// number. getrusage does not work here: it includes the size of the process's
// parent. The kernel updates VmHWM in steps of some pages, so it may be less than
// the current size. The larger of the two counts.
func RSS(process string) (uint64, error) {
	peak, err := size("/proc/"+process+"/status", "VmHWM:")
	now, err2 := size("/proc/"+process+"/smaps_rollup", "Rss:")
	return max(peak, now), errors.Join(err, err2)
}

// size reads a size from a file of /proc, in bytes.
func size(file, name string) (uint64, error) {
	f, err := os.Open(file)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if size, ok := strings.CutPrefix(lines.Text(), name); ok {
			kib, err := strconv.ParseUint(strings.TrimSpace(strings.TrimSuffix(size, "kB")), 10, 64)
			return kib << 10, err
		}
	}
	return 0, fmt.Errorf("no %s in %s", name, file)
}
