// SPDX-License-Identifier: BSD-3-Clause

package client

import (
	"cmp"
	"math"

	"bulkdump/client/nldump"
)

const (
	// aheadPages is how many pages of each socket may wait for the loop.
	aheadPages = 16

	// rangePages is how many pages a range has about. It fits whole, so that a
	// socket can go on with another before it is its turn; and the pages that
	// are not full, the last of each range, are few.
	rangePages = aheadPages / 2

	// kernelPage is the size of the kernel's pages, if the buffer is not
	// smaller (af_netlink.c:netlink_recvmsg).
	kernelPage = 32 << 10

	// maxRanges bounds what is known of all ranges.
	maxRanges = 1 << 16
)

// An idRange is of ids, both inclusive.
type idRange struct{ from, to uint32 }

// cutTable cuts the ids that are asked for into ranges. Together they are all
// of these: what the table says of its ids is only where the cuts are.
func cutTable(o *DumpOptions, t Table, sockets int) []idRange {
	all := idRange{0, math.MaxUint32}
	if o.IDFrom != nil {
		all.from = *o.IDFrom
	}
	if o.IDTo != nil {
		all.to = *o.IDTo
	}
	if t.IDMin == nil || t.IDMax == nil || all.from > *t.IDMax || all.to < *t.IDMin || all.from > all.to {
		return []idRange{all} // which is empty, or refused by the kernel
	}
	crowd := idRange{max(all.from, *t.IDMin), min(all.to, *t.IDMax)}
	share := crowd.width() / idRange{*t.IDMin, *t.IDMax}.width()
	page := min(cmp.Or(o.BufferSize, nldump.DefaultBufferSize), kernelPage)
	pages := float64(t.Bytes) * share / float64(page)
	n := max(pages/rangePages, float64(4*sockets))
	n = min(n, pages, maxRanges, crowd.width()) // no range without a page of its own
	return cut(all, crowd, max(uint64(n), 1))
}

func (r idRange) width() float64 { return float64(r.to) - float64(r.from) + 1 }

// cut cuts all into n ranges, those between the first and the last of the same
// width in the crowd.
func cut(all, crowd idRange, n uint64) []idRange {
	width := uint64(crowd.to) - uint64(crowd.from) + 1
	ranges := make([]idRange, n)
	for i := range n {
		ranges[i].from = crowd.from + uint32(width*i/n)
		ranges[i].to = crowd.from + uint32(width*(i+1)/n-1)
	}
	ranges[0].from, ranges[n-1].to = all.from, all.to
	return ranges
}
