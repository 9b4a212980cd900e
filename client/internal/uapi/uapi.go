// SPDX-License-Identifier: BSD-3-Clause

// Package uapi has the numbers of the family's ABI that package client sends
// and reads, and that a test's kernel needs as well.
package uapi

// Version is that of every family of protocol "genetlink".
const Version = 1

// An Attr is an attribute's name in the spec and, if it is a nest, the
// attributes in it.
type Attr struct {
	Name string
	Nest map[uint16]Attr
}
