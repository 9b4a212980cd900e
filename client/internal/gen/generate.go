// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"bytes"
	"fmt"
	"go/format"
	"strings"
)

// api returns the constants and types that package client exports.
func (f *family) api() ([]byte, error) {
	b := f.header("client")
	fmt.Fprintf(b, "// FamilyName is the name of the generic netlink family.\nconst FamilyName = %q\n\n", f.Name)
	for _, d := range f.Definitions {
		d.write(b)
	}
	return format.Source(b.Bytes())
}

// numbers returns the numbers and names of the attributes and operations.
func (f *family) numbers() ([]byte, error) {
	b := f.header("uapi")
	for _, s := range f.Sets {
		fmt.Fprintf(b, "// Attributes of the set %q.\nconst (\n", s.Name)
		for _, a := range s.Attributes {
			fmt.Fprintf(b, "Attr%s%s = %d // %s\n", goName(s.Name), goName(a.Name), a.number, a.Type)
		}
		b.WriteString(")\n\n")
	}
	b.WriteString("// Operations. A reply has its request's number.\nconst (\n")
	for _, o := range f.Operations.List {
		fmt.Fprintf(b, "Cmd%s = %d\n", goName(o.Name), o.number)
	}
	b.WriteString(")\n\n")
	f.names(b)
	return format.Source(b.Bytes())
}

// header begins a file of the package.
func (f *family) header(name string) *bytes.Buffer {
	b := new(bytes.Buffer)
	b.WriteString("// SPDX-License-Identifier: BSD-3-Clause\n\n")
	fmt.Fprintf(b, "// Code generated from kmod/%s.yaml by client/internal/gen; DO NOT EDIT.\n\n", f.Name)
	fmt.Fprintf(b, "package %s\n\n", name)
	return b
}

// write writes a constant, or a type and its values. An array has the names of
// the values, in the order of their numbers or bits.
func (d *definition) write(b *bytes.Buffer) {
	name := goName(d.Name)
	if d.Type == "const" {
		fmt.Fprintf(b, "// %s: %s\nconst %s = %d\n\n", name, comment(d.Doc), name, d.Value)
		return
	}
	fmt.Fprintf(b, "// %s: %s\ntype %s uint32\n\n// The values of %s.\nconst (\n", name, comment(d.Doc), name, name)
	for i, e := range d.Entries {
		if e.Doc != "" {
			fmt.Fprintf(b, "// %s%s: %s\n", name, goName(e.Name), comment(e.Doc))
		}
		fmt.Fprintf(b, "%s%s %s = %d\n", name, goName(e.Name), name, d.number(i))
	}
	fmt.Fprintf(b, ")\n\nvar names%s = []string{", name)
	for _, e := range d.Entries {
		fmt.Fprintf(b, "%q, ", e.Name)
	}
	b.WriteString("}\n\n")
}

// names writes the attributes' names, for errors.
func (f *family) names(b *bytes.Buffer) {
	for _, s := range f.Sets {
		fmt.Fprintf(b, "// Names of the attributes of the set %q.\nvar Names%s = map[uint16]Attr{\n", s.Name, goName(s.Name))
		for _, a := range s.Attributes {
			fmt.Fprintf(b, "Attr%s%s: {Name: %q", goName(s.Name), goName(a.Name), a.Name)
			if a.Type == "nest" {
				fmt.Fprintf(b, ", Nest: Names%s", goName(a.Nested))
			}
			b.WriteString("},\n")
		}
		b.WriteString("}\n\n")
	}
}

// comment folds a doc of several lines and keeps the comment prefix.
func comment(doc string) string {
	return strings.Join(strings.Split(strings.TrimSpace(doc), "\n"), "\n// ")
}

// goName turns entry-get into EntryGet and id-from into IDFrom.
func goName(name string) string {
	var b strings.Builder
	for word := range strings.SplitSeq(name, "-") {
		if word == "id" {
			b.WriteString("ID")
		} else if word != "" {
			b.WriteString(strings.ToUpper(word[:1]) + word[1:])
		}
	}
	return b.String()
}

// diff shows the difference between two texts, without the lines that they share at
// the start and at the end.
func diff(have, want []byte) string {
	h, w := strings.SplitAfter(string(have), "\n"), strings.SplitAfter(string(want), "\n")
	first := 0
	for first < len(h) && first < len(w) && h[first] == w[first] {
		first++
	}
	h, w = h[first:], w[first:]
	for len(h) > 0 && len(w) > 0 && h[len(h)-1] == w[len(w)-1] {
		h, w = h[:len(h)-1], w[:len(w)-1]
	}
	var b strings.Builder
	fmt.Fprintf(&b, "@@ from line %d @@\n", first+1)
	for _, l := range h {
		b.WriteString("-" + l)
	}
	for _, l := range w {
		b.WriteString("+" + l)
	}
	return b.String()
}
