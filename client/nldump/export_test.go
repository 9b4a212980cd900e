// SPDX-License-Identifier: BSD-3-Clause

package nldump

// DialWith is Dial with sockets from a function.
func DialWith(dial func() (Socket, error), cfg Config) (*Stream, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	return dialStream(dial, cfg)
}

// BufferSize returns the current size of the stream's page buffers.
func BufferSize(s *Stream) int { return s.size }

// RaceEnabled reports whether the race detector is built in.
const RaceEnabled = poison

// GoodSize is the size of the first page of a dump, with such memory pages.
func GoodSize(memoryPage int) int { return goodSize(memoryPage) }
