// SPDX-License-Identifier: BSD-3-Clause

package nldump

import "fmt"

const (
	// DefaultBufferSize is the page buffer that Config's zero value asks for.
	// The kernel caps the pages that it sizes by the reader's buffer at about
	// 32 KiB (af_netlink.c:netlink_recvmsg), but a single record may need one
	// of up to 64 KiB.
	DefaultBufferSize = 64 << 10

	// MinBufferSize is the smallest page buffer: the kernel builds pages of
	// NLMSG_GOODSIZE (3776 bytes with pages of 4 KiB) whatever the reader asks.
	MinBufferSize = 4 << 10

	// DefaultRepeatLimit is the repeat limit of Config's zero value.
	DefaultRepeatLimit = 4
)

// Config says how a Stream reads. The zero value is good.
type Config struct {
	// BufferSize is the size of the page buffer in bytes; 0 means
	// DefaultBufferSize. The kernel makes its pages as large as the largest
	// buffer that the socket was ever read with, so a small one makes small
	// pages and more system calls. A record larger than the buffer is an
	// ErrTruncated.
	BufferSize int

	// RepeatLimit is how often in a row a page may repeat the one before it,
	// byte for byte, until ErrNoProgress ends the dump; 0 means
	// DefaultRepeatLimit. It catches a dump callback whose cursor stands
	// still, which would send its last records for ever.
	RepeatLimit int

	// NetNS is a file descriptor of the network namespace to work in; 0 means
	// the caller's. Only Dial looks at it.
	NetNS int
}

func (c Config) withDefaults() (Config, error) {
	if c.BufferSize == 0 {
		c.BufferSize = DefaultBufferSize
	}
	if c.RepeatLimit == 0 {
		c.RepeatLimit = DefaultRepeatLimit
	}
	if c.BufferSize < MinBufferSize {
		return c, fmt.Errorf("nldump: buffer of %d bytes, need at least %d", c.BufferSize, MinBufferSize)
	}
	if c.RepeatLimit < 0 {
		return c, fmt.Errorf("nldump: repeat limit of %d", c.RepeatLimit)
	}
	return c, nil
}

// Stats counts what the last dump of a Stream took.
type Stats struct {
	Reads       uint64 `json:"reads"`        // system calls that returned a datagram
	Pages       uint64 `json:"pages"`        // datagrams from the kernel with a record in them
	Records     uint64 `json:"records"`      // records found in them
	Bytes       uint64 `json:"bytes"`        // bytes of all datagrams from the kernel
	LargestPage int    `json:"largest_page"` // bytes of the largest of them
	Foreign     uint64 `json:"foreign"`      // datagrams ignored: not from the kernel, or multicast
	Interrupted bool   `json:"interrupted"`  // NLM_F_DUMP_INTR was seen
	Filtered    bool   `json:"filtered"`     // NLM_F_DUMP_FILTERED was seen
}
