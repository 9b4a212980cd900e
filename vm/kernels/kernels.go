// SPDX-License-Identifier: BSD-3-Clause

// Package kernels holds the configurations of the kernels that the harness
// builds from source.
package kernels

import "embed"

//go:embed *.config
var files embed.FS

// Config returns the configuration of the kernel of that name, for make's
// KCONFIG_ALLCONFIG: the common part, then the kernel's own.
func Config(name string) (string, error) {
	base, err := files.ReadFile("base.config")
	if err != nil {
		return "", err
	}
	own, err := files.ReadFile(name + ".config")
	return string(base) + string(own), err
}
