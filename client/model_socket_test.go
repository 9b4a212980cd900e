// SPDX-License-Identifier: BSD-3-Clause

package client

import (
	"math"

	"golang.org/x/sys/unix"

	"bulkdump/client/internal/script"
	"bulkdump/client/internal/uapi"
	"bulkdump/client/nldump"
)

// A modelSocket dumps a model, as dump.c does: it makes a page when the one
// before was read.
type modelSocket struct {
	*script.Socket
	m *model

	since      *uint64
	from, to   uint32 // the range of ids
	filtered   uint16 // the flag of each record, if that was given
	next, last uint64 // ids; with since, generations
	seq        uint64 // what cb->prev_seq would be
	page       []byte
	more       bool
}

// start is called with a request.
func (s *modelSocket) start(req nldump.Message) {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	s.m.look()
	s.parse(req.Data[genlHeaderLen:])
	s.seq = s.m.generation
	s.next, s.last = uint64(s.from), uint64(s.to)
	if s.since != nil {
		if *s.since < s.m.floor || *s.since > s.m.generation {
			s.page, s.more = script.Message(unix.NLMSG_ERROR, 0, script.Errno(unix.ESTALE)), false
			return
		}
		s.next, s.last = *s.since+1, s.m.generation
	}
	s.makePage()
}

func (s *modelSocket) parse(b []byte) {
	s.since, s.from, s.to, s.filtered = nil, 0, math.MaxUint32, 0
	for a := nldump.Parse(b); a.Next(); {
		switch a.Type() {
		case uapi.AttrEntrySince:
			since := a.Uint()
			s.since = &since
		case uapi.AttrEntryFilter:
			s.filtered = unix.NLM_F_DUMP_FILTERED
			for f := a.Nested(); f.Next(); {
				switch f.Type() {
				case uapi.AttrFilterIDFrom:
					s.from = f.Uint32()
				case uapi.AttrFilterIDTo:
					s.to = f.Uint32()
				}
			}
		}
	}
}

// nextPage is called with a read, which makes room for the page after it.
func (s *modelSocket) nextPage() script.Step {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	step := script.Page(s.page)
	if s.m.recv != nil {
		s.m.recv(&step)
	}
	if s.more && !step.Wait {
		s.makePage()
	}
	return step
}

func (s *modelSocket) makePage() {
	s.page, s.more = nil, false
	begun, seq := s.next, s.m.generation
	for n := 0; ; n++ {
		s.m.look()
		place, id, generation := s.find()
		s.more = generation != 0 && n == s.m.pageRecords
		if generation == 0 || s.more {
			break
		}
		s.next = place + 1
		attrs := [][]byte{script.U64(uapi.AttrEntryGeneration, generation)}
		if c := s.m.history[generation]; c.deleted {
			attrs = append(attrs, script.Attr(uapi.AttrEntryDeleted))
		} else {
			attrs = append(attrs, script.U64(uapi.AttrEntryValue, c.value))
		}
		s.page = append(s.page, entry(s.flag(seq)|s.filtered, id, attrs...)...)
	}
	if s.since != nil && s.m.floor >= begun { // check_floor()
		s.page, s.more = append(s.page, script.Done(s.flag(s.m.generation), unix.ESTALE)...), false
	} else if !s.more {
		s.page = append(s.page, script.Done(s.flag(s.m.generation), 0)...)
	}
}

// flag is what genl_dump_check_consistent() makes of a message.
func (s *modelSocket) flag(seq uint64) (flag uint16) {
	if seq != s.seq {
		flag = unix.NLM_F_DUMP_INTR
	}
	s.seq = seq
	return flag
}

// find returns what is next, and its place; its generation is 0 if there is none.
func (s *modelSocket) find() (place uint64, id uint32, generation uint64) {
	if s.since != nil {
		for place := s.next; place <= s.last; place++ {
			if c, there := s.m.log[place]; there && c.id >= s.from && c.id <= s.to {
				return place, c.id, place
			}
		}
		return 0, 0, 0
	}
	place = s.last + 1
	for id, v := range s.m.entries {
		if at := uint64(id); at >= s.next && at < place {
			place, generation = at, v.generation
		}
	}
	return place, uint32(place), generation
}
