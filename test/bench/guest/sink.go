// SPDX-License-Identifier: BSD-3-Clause

package main

import "bulkdump/client"

// A sink is what is done with each record. In the measured run, it does just
// enough that every field must be decoded. In the second run, it also
// calculates the checksum, to show that they are decoded correctly.
type sink struct {
	records  uint64
	sum      uint64
	checksum client.Checksum
	check    bool
}

func (s *sink) add(r *client.Record) {
	s.count(r)
	if s.check {
		s.checksum.Add(r)
	}
}

func (s *sink) addEntry(e *client.Entry) {
	s.countEntry(e)
	if s.check {
		s.checksum.AddEntry(e)
	}
}

// count is add without the checksum. The compiler inlines it into the caller's
// loop, as the C compiler does in the readers in C.
func (s *sink) count(r *client.Record) {
	s.records++
	s.sum += uint64(r.ID) + uint64(r.Flags) + r.Value + r.Generation + uint64(len(r.Name))
}

// countColumns is count for each record of a page.
func (s *sink) countColumns(c *client.Columns) {
	s.records += uint64(c.Len())
	for _, id := range c.IDs {
		s.sum += uint64(id)
	}
	for _, flags := range c.Flags {
		s.sum += uint64(flags)
	}
	for _, value := range c.Values {
		s.sum += value
	}
	for _, generation := range c.Generations {
		s.sum += generation
	}
	s.sum += uint64(len(c.Names))
}

func (s *sink) countEntry(e *client.Entry) {
	s.records++
	s.sum += uint64(e.ID) + uint64(e.Flags) + e.Value + e.Generation + uint64(len(e.Name))
}
