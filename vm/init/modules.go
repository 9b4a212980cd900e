// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"bulkdump/vm/internal/proto"
)

// unloadPatience is how long a module may refuse to unload. References dropped
// from a work queue or by RCU need some time.
const unloadPatience = 5 * time.Second

func load(m proto.Module) error {
	f, err := os.Open(m.Path)
	if err != nil {
		return err
	}
	defer f.Close()
	err = unix.FinitModule(int(f.Fd()), m.Params, 0)
	if err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("load %s: %w", filepath.Base(m.Path), err)
	}
	return nil
}

// loadedModule is a line of /proc/modules.
type loadedModule struct {
	name      string
	permanent bool // it has no exit function
}

func parseModules(text string) []loadedModule {
	var mods []loadedModule
	s := bufio.NewScanner(strings.NewReader(text))
	for s.Scan() {
		f := strings.Fields(s.Text())
		if len(f) < 4 {
			continue
		}
		mods = append(mods, loadedModule{
			name:      f[0],
			permanent: strings.Contains(f[3], "[permanent]"),
		})
	}
	return mods
}

func loadedModules() ([]loadedModule, error) {
	text, err := os.ReadFile("/proc/modules")
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil // the kernel has no modules
	}
	return parseModules(string(text)), err
}

// unloadSince removes every module that is not in keep: the project's, and any
// that the command loaded. /proc/modules lists the newest first, so a module is
// removed before those that it uses.
func unloadSince(keep map[string]bool, note func(string)) error {
	noted := map[string]bool{}
	deadline := time.Now().Add(unloadPatience)
	for {
		mods, err := loadedModules()
		if err != nil {
			return err
		}
		var stuck error
		for _, m := range mods {
			switch {
			case keep[m.name]:
			case m.permanent:
				if !noted[m.name] {
					note("module " + m.name + " has no exit: it stays loaded")
					noted[m.name] = true
				}
			default:
				err := unix.DeleteModule(m.name, unix.O_NONBLOCK)
				if err != nil && !errors.Is(err, unix.ENOENT) {
					stuck = fmt.Errorf("module %s does not unload: %w", m.name, err)
				}
			}
		}
		if stuck == nil {
			return nil
		}
		if time.Now().After(deadline) {
			return stuck
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// settle waits until the effects of the unload are over and in the log: two RCU
// grace periods, then a moment for callbacks and work queues. User space cannot
// wait for the callbacks themselves.
func settle() {
	for range 2 {
		unix.Syscall(unix.SYS_MEMBARRIER, 1 /* MEMBARRIER_CMD_GLOBAL */, 0, 0)
	}
	time.Sleep(50 * time.Millisecond)
}
