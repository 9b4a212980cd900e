// SPDX-License-Identifier: BSD-3-Clause

package check

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"bulkdump/client/nldump"
)

// What a dump holds: references to modules, and memory.

// families is a dump of the generic families.
var families = nldump.Message{Type: unix.GENL_ID_CTRL, Data: []byte{unix.CTRL_CMD_GETFAMILY, 1, 0, 0}}

// heldModule finds the module that a parked dump holds. That of the family must be
// among those: else it can be unloaded, and the next page runs code that is gone.
func (r *run) heldModule(before map[string]int) (held bool) {
	if r.Generic == nil {
		return true
	}
	var modules []string
	now := references()
	for module, n := range now {
		if n > before[module] {
			modules = append(modules, module)
		}
	}
	slices.Sort(modules)
	if len(modules) > 0 {
		r.info("it holds module %s", strings.Join(modules, ", "))
	}
	_, is := now[r.Generic.Name]
	return !is || slices.Contains(modules, r.Generic.Name)
}

// many is how many dumps checkAbandoned begins. What the kernel does not get back of
// each shows against what other programs take and give meanwhile. Fewest are enough
// for that.
const many, fewest = 150, 40

// checkAbandoned begins dumps and leaves them, after another number of pages each
// time; reads some to their end; and asks for some that are refused. The kernel gets
// back what it gave.
func checkAbandoned(r *run) {
	if !r.takeAlone() {
		return
	}
	if pages := len(r.alone.Pages); pages > 1 {
		r.leaks("dumps that were abandoned", func(i int) {
			if s, _, ok := r.begin(leftAfter(i, pages)); ok {
				s.Close()
			}
		})
	}
	if r.refused.Data != nil {
		r.leaksOf("dumps that were refused", r.refused)
	}
	if len(r.base.Pages) < 16 {
		r.leaksOf("dumps that were read to their end", r.Request)
	}
	if slabs() == nil {
		r.info("memory was not looked at: /proc/slabinfo is for root")
	}
}

// leftAfter is the number of pages after which the i-th dump is left: each of the first
// ones, then each eighth, which take long; then the first few again.
func leftAfter(i, pages int) int {
	n := i
	if n > 16 {
		n = 16 + 8*(i-16)
	}
	if n > min(pages-2, 64) {
		n = i % min(4, pages-1)
	}
	return n
}

// leaksOf is leaks with dumps that are not left. They share a socket, which is most of
// what a short dump costs.
func (r *run) leaksOf(what string, request nldump.Message) {
	s, err := r.open(large)
	if r.failed(err) {
		return
	}
	defer func() { s.Close() }()
	r.leaks(what, func(int) {
		d := s.Dump(request, r.limits())
		if d.Whole() || refusal(d) {
			return
		}
		// It may still run, and then the next one would be refused.
		if other, err := r.open(large); err == nil {
			s.Close()
			s = other
		}
	})
}

// leaks takes many dumps, and finds what the kernel has more each time: something else
// may grow once or twice meanwhile.
func (r *run) leaks(what string, dump func(i int)) {
	const rounds = 3
	n := many
	var more map[string]int
	sum := map[string]int{} // of all rounds
	begin := time.Now()
	for round := range rounds {
		if round > 0 {
			shrink(more)
		} else if quarantines() {
			shrink(held())
		}
		r.until = time.Now().Add(r.Options.Check) // shrinking is not what is checked
		before := held()
		for i := range n {
			dump(i)
			r.result.Skipped = "" // one was shorter than the first
			if r.late(what, i+1, n) {
				n = i + 1
				break
			}
		}
		if n < fewest {
			return
		}
		now := settled(before, n)
		maps.DeleteFunc(now, func(of string, _ int) bool { return round > 0 && more[of] == 0 })
		if more = now; len(more) == 0 {
			return
		}
		for of, n := range more {
			sum[of] += n
		}
	}
	// What grows without dumps, too, is somebody else's. It has as much time for that as
	// all rounds had.
	shrink(more)
	before := held()
	select {
	case <-time.After(time.Since(begin)):
	case <-r.ctx.Done():
	}
	shrink(more)
	for of, n := range held() {
		if 2*(n-before[of]) >= sum[of] {
			delete(more, of)
		}
	}
	for _, of := range slices.Sorted(maps.Keys(more)) {
		kind, name, _ := strings.Cut(of, " ")
		if kind == "module" {
			r.broken("%d %s leave %d references to module %s: it cannot be unloaded any more", n, what, more[of], name)
		} else {
			r.broken("%d %s leave %d objects in slab %s: they are not freed", n, what, more[of], name)
		}
	}
}

// held is what the kernel holds: references to modules, objects in slabs.
func held() map[string]int {
	all := map[string]int{}
	for module, n := range references() {
		all["module "+module] = n
	}
	for cache, n := range slabs() {
		all["slab "+cache] = n
	}
	return all
}

// settled is of what the kernel holds more than before, by half the dumps at least. It
// waits for what comes back by RCU.
func settled(before map[string]int, dumps int) map[string]int {
	var more map[string]int
	for end := time.Now().Add(2 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		more = map[string]int{}
		for what, n := range held() {
			if n -= before[what]; n >= dumps/2 {
				more[what] = n
			}
		}
		if len(more) == 0 || time.Now().After(end) {
			return more
		}
		shrink(more)
	}
}

// shrink has the kernel give back what slabs hold for later: free objects that are
// counted as used (mm/slub.c).
func shrink(all map[string]int) {
	for what := range all {
		if cache, is := strings.CutPrefix(what, "slab "); is {
			os.WriteFile(filepath.Join("/sys/kernel/slab", cache, "shrink"), []byte("1"), 0) // only root may
		}
	}
}

// quarantines reports whether the kernel keeps what is freed for a while, as KASAN
// does (mm/kasan/quarantine.c). It lets go of a lot at once, which hides what dumps
// leave, unless it has let go before. That takes seconds.
var quarantines = sync.OnceValue(func() bool {
	symbols, err := os.ReadFile("/proc/kallsyms")
	return err == nil && bytes.Contains(symbols, []byte(" kasan_quarantine_reduce\n"))
})

// references are the modules' reference counts. One file has all; to read those of
// /sys/module takes most of the check.
func references() map[string]int { return countsIn("/proc/modules", 2) }

// slabs are the active objects of each slab cache, but for those of the poller that
// waits for this program's sockets: the kernel takes its time to free them.
func slabs() map[string]int {
	counts := countsIn("/proc/slabinfo", 1)
	maps.DeleteFunc(counts, func(cache string, _ int) bool { return strings.HasPrefix(cache, "eventpoll_") })
	return counts
}

// countsIn reads a file whose lines have a name and, in a later column, a count. It
// returns nil if the file cannot be read.
func countsIn(file string, column int) map[string]int {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil
	}
	counts := map[string]int{}
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) > column {
			if n, err := strconv.Atoi(f[column]); err == nil {
				counts[f[0]] = n
			}
		}
	}
	return counts
}
