// SPDX-License-Identifier: BSD-3-Clause

package nldump

// DialWith is Dial with sockets from elsewhere.
func DialWith(dial func() (Socket, error), cfg Config) (*Stream, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	return dialStream(dial, cfg)
}

// BufferSize is the size of the stream's page buffers now.
func BufferSize(s *Stream) int { return s.size }

// RaceEnabled: the race detector is built in.
const RaceEnabled = poison
