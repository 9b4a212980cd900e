// SPDX-License-Identifier: BSD-3-Clause

package test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strconv"
	"sync"

	"bulkdump/client"
)

// The fields that a churner gives to an entry.
const (
	fieldName = 1 << iota
	fieldValue
	fieldPayload

	fieldsAll = fieldName | fieldValue | fieldPayload
)

// fields makes some fields of an entry. A number ties them together: it is in the
// name, it is the upper half of the value, and the payload repeats its lowest byte.
// All else is random. So a record with parts of two states shows, even if each
// field alone is right.
func (c *churner) fields(n uint32, which int) (attrs [][]byte) {
	if which&fieldName != 0 {
		attrs = append(attrs, attrText(attrName, fmt.Sprintf("churn-%d-%d", n, c.r.Uint32())))
	}
	if which&fieldValue != 0 {
		value := uint64(n)<<32 | uint64(c.r.Uint32())
		attrs = append(attrs, attr(attrValue, binary.NativeEndian.AppendUint64(nil, value)...))
	}
	if which&fieldPayload != 0 {
		attrs = append(attrs, attr(attrPayload, bytes.Repeat([]byte{byte(n)}, c.r.IntN(33))...))
	}
	return attrs
}

// contents checks the records of a churned table.
type contents struct {
	mu sync.Mutex
	// Of the entries that a fill made and nothing changed. It makes the same entry
	// of an id each time.
	filled map[uint32]client.Checksum
}

// check tells what is wrong with a record, if anything is.
func (k *contents) check(r *client.Record) error {
	name, churned := bytes.CutPrefix(r.Name, []byte("churn-"))
	if !churned {
		return k.checkFilled(r)
	}
	digits, _, _ := bytes.Cut(name, []byte("-"))
	n, err := strconv.ParseUint(string(digits), 10, 32)
	if err != nil || r.Value>>32 != n || bytes.Count(r.Payload, []byte{byte(n)}) < len(r.Payload) {
		return fmt.Errorf("parts of two states: id %d, name %q, value %#x, payload %x", r.ID, r.Name, r.Value, r.Payload)
	}
	if kind := r.ID % idKinds; kind >= idComes && n != uint64(r.ID) || kind == idUntouched {
		return fmt.Errorf("the name of another entry: id %d, name %q", r.ID, r.Name)
	}
	return nil
}

func (k *contents) checkFilled(r *client.Record) error {
	var sum client.Checksum
	sum.Add(r)
	k.mu.Lock()
	defer k.mu.Unlock()
	want, known := k.filled[r.ID]
	if known && sum != want {
		return fmt.Errorf("another entry than last time: id %d, name %q, value %#x, payload %x", r.ID, r.Name, r.Value, r.Payload)
	}
	k.filled[r.ID] = sum
	return nil
}
