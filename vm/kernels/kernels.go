// SPDX-License-Identifier: BSD-3-Clause

// Package kernels holds the configurations of the kernels that the harness
// builds from source.
package kernels

import (
	"embed"
	"fmt"
	"slices"
	"strings"
)

//go:embed *.config
var files embed.FS

// parts are the files of each kernel's configuration.
var parts = map[string][]string{
	"debug": {"pc", "base", "checks", "debug"},
	"kcsan": {"pc", "base", "checks", "kcsan"},
	"kmsan": {"pc", "base", "kmsan"},
	"64k":   {"arm64", "base", "64k"},
}

// Config returns the configuration of the kernel of that name, for make's
// KCONFIG_ALLCONFIG.
func Config(name string) (string, error) {
	if parts[name] == nil {
		return "", fmt.Errorf("there is no kernel %s", name)
	}
	var all strings.Builder
	for _, part := range parts[name] {
		text, err := files.ReadFile(part + ".config")
		if err != nil {
			return "", err
		}
		all.Write(text)
	}
	return all.String(), nil
}

// ChecksItself reports whether a kernel looks for errors as it runs. Such a kernel is
// slow.
func ChecksItself(name string) bool {
	return name == "kmsan" || slices.Contains(parts[name], "checks")
}
