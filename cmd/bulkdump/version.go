// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"runtime"
	"runtime/debug"
)

// versionFields tell what the program was built from, as far as that is known.
func versionFields(info *debug.BuildInfo, ok bool) []field {
	version, revision := "unknown", "unknown"
	var more []field
	if ok {
		version = info.Main.Version
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision":
				revision = s.Value
			case "vcs.time":
				more = append(more, field{"committed", s.Value})
			case "vcs.modified":
				more = append(more, field{"modified", s.Value})
			}
		}
	}
	return append([]field{
		{"bulkdump", version},
		{"go", runtime.Version() + " " + runtime.GOOS + "/" + runtime.GOARCH},
		{"revision", revision},
	}, more...)
}
