// SPDX-License-Identifier: BSD-3-Clause

package main

import "bulkdump/client"

// A sink is what is done with each record while it is measured: enough that
// every field must have been decoded, and little beside that. In a second run,
// which is not, the checksum shows that they were decoded right.
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

// count is add without the checksum. The compiler puts it into the caller's loop,
// as it does in C with what the readers there do.
func (s *sink) count(r *client.Record) {
	s.records++
	s.sum += uint64(r.ID) + uint64(r.Flags) + r.Value + r.Generation + uint64(len(r.Name))
}

func (s *sink) countEntry(e *client.Entry) {
	s.records++
	s.sum += uint64(e.ID) + uint64(e.Flags) + e.Value + e.Generation + uint64(len(e.Name))
}
