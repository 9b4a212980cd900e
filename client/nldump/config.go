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
	// DefaultBufferSize is the page buffer that Config's zero value asks for.
	// The kernel caps the pages that it sizes by the reader's buffer at about
	// 32 KiB (af_netlink.c:netlink_recvmsg), but a single record may need one
	// of 64 KiB, and that of a network device with hundreds of virtual functions
	// more (net/core/rtnetlink.c:rtnl_calcit).
	DefaultBufferSize = 64 << 10

	// MinBufferSize is the smallest page buffer: the kernel builds pages of
	// NLMSG_GOODSIZE (3776 bytes with pages of 4 KiB) whatever the reader asks.
	MinBufferSize = 4 << 10

	// DefaultMaxBufferSize is how large a page buffer of Config's zero value
	// may grow.
	DefaultMaxBufferSize = 1 << 20

	// DefaultRepeatLimit is the repeat limit of Config's zero value: more than a
	// million records that are all alike.
	DefaultRepeatLimit = 1 << 20
)

// Abandon says what a Stream does with a dump whose loop is left before its
// end, by break or return, by a panic, or with an error after which the kernel
// may still have more of it.
type Abandon int

const (
	// AbandonPark leaves it parked in the kernel: the stream is not idle, and
	// the caller chooses between Drain and Close.
	AbandonPark Abandon = iota

	// AbandonClose closes the socket, upon which the kernel frees what the
	// dump held (af_netlink.c:netlink_release). The stream is idle, and opens
	// another socket for its next dump. Only a stream of Dial can.
	AbandonClose

	// AbandonDrain reads the rest of it, before the loop's next statement, if
	// the loop was left by break or return. That takes as long as the dump
	// has records left, unless its context ends. After an error it is parked:
	// more of it may never come.
	AbandonDrain
)

// Config says how a Stream reads. The zero value is good.
type Config struct {
	// BufferSize is the size of the page buffer in bytes; 0 means
	// DefaultBufferSize. The kernel makes its pages as large as the largest
	// buffer that the socket was ever read with, up to about 32 KiB, so a
	// small one makes small pages and more system calls. It also makes more
	// records too large for a page, which a few dumps hide: see the package's
	// text. The buffer does not grow for those.
	BufferSize int

	// MaxBufferSize is how large the page buffer may grow, in bytes; 0 means
	// DefaultMaxBufferSize, or BufferSize if that is larger. A page that does
	// not fit is an ErrTruncated in any case, because its end is lost. If it
	// is not larger than this, the buffer grows to its size, for Dump.Resume
	// and for the next dump.
	MaxBufferSize int

	// ReceiveBuffer is the size of the socket's receive queue in bytes of
	// messages (SO_RCVBUF); 0 means the system's default. A dump alone does
	// with any: the kernel builds the next page when one was read, and the
	// first always fits. Dial fails if the kernel gives less, as it does beyond
	// net.core.rmem_max without CAP_NET_ADMIN.
	ReceiveBuffer int

	// StallTimeout is how long a dump may go without a page until it ends with
	// ErrStalled; 0 means for ever. The kernel builds a page within the system
	// call that reads the one before, so a healthy dump never waits for long.
	// What the loop's body takes does not count.
	StallTimeout time.Duration

	// RepeatLimit is how many records may come in pages that each repeat the one
	// before it, byte for byte, until ErrNoProgress ends the dump; 0 means
	// DefaultRepeatLimit, and less than 0 no limit. It catches a dump callback
	// whose cursor stands still, which would send its last records for ever. A page
	// without a byte counts as one, and of those 4,096 in a row are too many, too.
	// Records may be equal in a right dump, too, such as ip rules without a
	// priority of their own. See Dump.Key for a cursor that goes round in larger
	// circles.
	RepeatLimit int

	// Abandon says what becomes of a dump that is not read to its end.
	Abandon Abandon

	// NoStrictCheck leaves NETLINK_GET_STRICT_CHK off. With it on, where the
	// kernel has it (4.20), a request whose header or attributes the family
	// does not know is refused, and filters in it are applied; some families
	// refuse what older programs send. Off, they ignore it.
	NoStrictCheck bool

	// NetNS is a file descriptor of the network namespace to work in; 0 means
	// the caller's. It must stay open as long as the Stream. Entering another
	// namespace needs CAP_SYS_ADMIN. Only Dial looks at it.
	NetNS int

	// NetNSPath is NetNS by name, such as /run/netns/blue or /proc/42/ns/net;
	// "" means no name. It is looked up each time that a socket is opened.
	NetNSPath string

	// Pool is where Stream.Pages has its buffers from. Streams may share one.
	Pool *Pool
}

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
	Pages       uint64 `json:"pages"`        // datagrams from the kernel with a record in them
	Records     uint64 `json:"records"`      // records delivered
	Bytes       uint64 `json:"bytes"`        // bytes of all datagrams from the kernel
	LargestPage int    `json:"largest_page"` // bytes of the largest of them
	EmptyPages  uint64 `json:"empty_pages"`  // datagrams from the kernel without a byte: come again
	Foreign     uint64 `json:"foreign"`      // datagrams that are no answer: not from the kernel, or multicast
	Resumed     uint64 `json:"resumed"`      // how often Dump.Resume went on after a truncated page
	Interrupted bool   `json:"interrupted"`  // NLM_F_DUMP_INTR was seen, or Dump.Generation changed
	Filtered    bool   `json:"filtered"`     // NLM_F_DUMP_FILTERED was seen
}
