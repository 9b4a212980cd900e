// SPDX-License-Identifier: BSD-3-Clause

package nldump

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"time"
)

const (
	// DefaultBufferSize is the size of the page buffer if Config does not say.
	// Pages that the kernel sizes by the reader's buffer have at most about 32 KiB
	// (af_netlink.c:netlink_recvmsg). But a single record may need 64 KiB, and that
	// of a network device with hundreds of virtual functions more
	// (net/core/rtnetlink.c:rtnl_calcit).
	DefaultBufferSize = 64 << 10

	// MinBufferSize is the smallest page buffer. The kernel makes pages of at
	// least NLMSG_GOODSIZE: 3776 bytes with memory pages of 4 KiB. With larger ones it is
	// up to 7872, and a smaller buffer counts as one of that size.
	MinBufferSize = 4 << 10

	// DefaultMaxBufferSize is how large the page buffer may grow if Config does
	// not say.
	DefaultMaxBufferSize = 1 << 20

	// DefaultRepeatLimit is the repeat limit if Config does not say: more than a
	// million equal records.
	DefaultRepeatLimit = 1 << 20
)

// Abandon says what a Stream does with a dump whose loop is left before its end:
// by break or return, by a panic, or with an error after which the kernel may have
// more of the dump.
type Abandon int

const (
	// AbandonPark leaves the dump parked in the kernel. The stream is not idle
	// until the caller chooses Drain or Close.
	AbandonPark Abandon = iota

	// AbandonClose closes the socket, and the kernel frees the dump
	// (af_netlink.c:netlink_release). The stream is idle, and opens another socket
	// for its next dump. Only a stream of Dial can do this.
	AbandonClose

	// AbandonDrain reads the rest of the dump before the statement behind the loop,
	// if the loop was left by break or return, or by a panic. That takes as long as the dump has
	// records left, unless the context ends. After an error the dump is parked,
	// because the rest of it may never come.
	AbandonDrain
)

// Config says how a Stream reads. The zero value is a good choice.
type Config struct {
	// BufferSize is the size of the page buffer in bytes; 0 means
	// DefaultBufferSize. The kernel makes pages as large as the largest buffer that
	// the socket was read with, up to about 32 KiB. So a small buffer means small
	// pages and more system calls. It also means that more records are too large
	// for a page, which a few dumps hide: see the package's text. The buffer does
	// not grow for those.
	BufferSize int

	// MaxBufferSize is how large the page buffer may grow, in bytes; 0 means
	// DefaultMaxBufferSize, or BufferSize if that is larger. A page that does not
	// fit is always an ErrTruncated, because its end is lost. If it is not larger
	// than MaxBufferSize, the buffer grows to its size, rounded up to 4 KiB as far
	// as MaxBufferSize allows, for Dump.Resume and for the next dump.
	MaxBufferSize int

	// ReceiveBuffer is the size of the socket's receive queue in bytes of
	// messages (SO_RCVBUF); 0 means the system's default. A dump works with any
	// size, because the kernel makes the next page when one was read, and the first
	// always fits. Dial fails if the kernel gives less than asked for, as it does
	// beyond net.core.rmem_max without CAP_NET_ADMIN.
	ReceiveBuffer int

	// StallTimeout is the longest wait for a page, after which the dump ends with
	// ErrStalled; 0 means no limit. The kernel makes a page within the system call
	// that reads the one before, so a healthy dump never waits for long. The time
	// that the loop's body takes does not count.
	StallTimeout time.Duration

	// RepeatLimit is how many records may come in pages that each repeat the one
	// before, byte for byte, until the dump ends with ErrNoProgress; 0 means
	// DefaultRepeatLimit, less than 0 no limit. It catches a dump callback whose
	// cursor stands still, which sends the same records for ever. A page without
	// records counts as one record. A correct dump may have equal records, such as
	// ip rules without a priority of their own. For a cursor that goes round in
	// larger circles, see Dump.Key.
	//
	// Empty pages are counted apart, and do not part two others. That many in a row
	// are too many, and 4,096 in any case.
	RepeatLimit int

	// Abandon says what to do with a dump that is not read to its end.
	Abandon Abandon

	// NoStrictCheck leaves NETLINK_GET_STRICT_CHK off. With that option, which
	// exists since Linux 4.20, a family refuses a header or attribute that it does
	// not know, and applies filters; some families refuse what older programs send.
	// Without it, they ignore all that.
	NoStrictCheck bool

	// NetNS is a file descriptor of the network namespace to work in; 0 means
	// the caller's. It must stay open as long as the Stream. Entering another
	// namespace needs CAP_SYS_ADMIN. Only Dial looks at it.
	NetNS int

	// NetNSPath is NetNS by name, such as /run/netns/blue or /proc/42/ns/net. It is
	// looked up each time that a socket is opened.
	NetNSPath string

	// Pool has the buffers for Stream.Pages. Streams may share one.
	Pool *Pool
}

// goodSize is NLMSG_GOODSIZE, or a little more, on a machine with such memory pages:
// what is left of a page, or of 8 KiB, without struct skb_shared_info
// (include/linux/netlink.h, skbuff.h). That takes 320 bytes, rounded up to lines of
// the cache.
func goodSize(memoryPage int) int { return min(memoryPage, 8<<10) - 320 }

func (c Config) withDefaults() (Config, error) {
	c.BufferSize = cmp.Or(c.BufferSize, DefaultBufferSize)
	c.MaxBufferSize = cmp.Or(c.MaxBufferSize, max(DefaultMaxBufferSize, c.BufferSize))
	c.RepeatLimit = cmp.Or(c.RepeatLimit, DefaultRepeatLimit)
	switch {
	case c.BufferSize < MinBufferSize:
		return c, fmt.Errorf("nldump: buffer of %d bytes, need at least %d", c.BufferSize, MinBufferSize)
	case c.MaxBufferSize < c.BufferSize:
		return c, fmt.Errorf("nldump: largest buffer of %d bytes, less than the buffer's %d", c.MaxBufferSize, c.BufferSize)
	case c.ReceiveBuffer < 0 || c.ReceiveBuffer > math.MaxInt32/2: // the kernel doubles it
		return c, fmt.Errorf("nldump: receive buffer of %d bytes", c.ReceiveBuffer)
	case c.StallTimeout < 0:
		return c, fmt.Errorf("nldump: stall timeout of %v", c.StallTimeout)
	case c.Abandon < AbandonPark || c.Abandon > AbandonDrain:
		return c, fmt.Errorf("nldump: no way %d to abandon a dump", c.Abandon)
	case c.NetNS != 0 && c.NetNSPath != "":
		return c, errors.New("nldump: network namespace by file descriptor and by path")
	}
	return c, nil
}

// Stats counts what the last dump of a Stream took.
type Stats struct {
	Reads       uint64 `json:"reads"`        // system calls that returned a datagram
	Pages       uint64 `json:"pages"`        // datagrams that had a record to deliver
	Records     uint64 `json:"records"`      // records delivered
	Bytes       uint64 `json:"bytes"`        // bytes of all datagrams that answer, without those that were cut
	LargestPage int    `json:"largest_page"` // bytes of the largest of them
	EmptyPages  uint64 `json:"empty_pages"`  // empty ones, which ask the reader to come again
	Foreign     uint64 `json:"foreign"`      // datagrams that do not answer: not from the kernel, or multicast
	Resumed     uint64 `json:"resumed"`      // how often Dump.Resume went on after a truncated page
	Interrupted bool   `json:"interrupted"`  // NLM_F_DUMP_INTR was seen, or Dump.Generation changed
	Filtered    bool   `json:"filtered"`     // NLM_F_DUMP_FILTERED was seen
}
