// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"os"
	"path/filepath"
	"strings"

	"bulkdump/vm/internal/proto"
)

// moduleSections returns the addresses of each module's sections. Built-in
// modules and unreadable sections are left out.
func moduleSections() map[string]proto.Sections { return readSections("/sys/module") }

func readSections(dir string) map[string]proto.Sections {
	modules := map[string]proto.Sections{}
	// Most names begin with a dot. Glob's * matches it, unlike a shell's.
	files, _ := filepath.Glob(filepath.Join(dir, "*", "sections", "*"))
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		module := filepath.Base(filepath.Dir(filepath.Dir(file)))
		if modules[module] == nil {
			modules[module] = proto.Sections{}
		}
		modules[module][filepath.Base(file)] = strings.TrimSpace(string(text))
	}
	return modules
}
