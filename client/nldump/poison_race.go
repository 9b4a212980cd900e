// SPDX-License-Identifier: BSD-3-Clause

//go:build race

package nldump

// poison: the race detector sees the write to a page that is released, which
// the kernel's own write would hide from it.
const poison = true
