// SPDX-License-Identifier: BSD-3-Clause

//go:build !race

package nldump

const poison = false
