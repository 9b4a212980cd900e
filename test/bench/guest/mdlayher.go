// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"bulkdump/client"
)

// From kmod/bulkdump.yaml, written as in a program for any one family.
const (
	genlHeaderLen = 4

	attrID         = 1
	attrName       = 2
	attrFlags      = 3
	attrValue      = 4
	attrGeneration = 7
)

// readExecute follows the library's documentation: Execute, then an
// AttributeDecoder for each message.
func readExecute(_ context.Context, j *job, s *sink) error {
	c, err := netlink.Dial(unix.NETLINK_GENERIC, nil)
	if err != nil {
		return err
	}
	defer c.Close()
	messages, err := c.Execute(dumpMessage(j))
	if err != nil {
		return err
	}
	for _, m := range messages {
		if err := decodeMdlayher(m, s); err != nil {
			return err
		}
	}
	return nil
}

// readReceiveIter is the fastest way to use the library: a buffer as large as a
// page, and one message at a time.
func readReceiveIter(_ context.Context, j *job, s *sink) error {
	c, err := netlink.Dial(unix.NETLINK_GENERIC, &netlink.Config{MessageBufferSize: 32 << 10})
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := c.Send(dumpMessage(j)); err != nil {
		return err
	}
	for m, err := range c.ReceiveIter() {
		if err != nil {
			return err
		}
		if err := decodeMdlayher(m, s); err != nil {
			return err
		}
	}
	return nil
}

func dumpMessage(j *job) netlink.Message {
	return netlink.Message{
		Header: netlink.Header{Type: netlink.HeaderType(j.family), Flags: netlink.Request | netlink.Dump},
		Data:   j.request,
	}
}

func decodeMdlayher(m netlink.Message, s *sink) error {
	d, err := netlink.NewAttributeDecoder(m.Data[genlHeaderLen:])
	if err != nil {
		return err
	}
	var r client.Entry
	for d.Next() {
		switch d.Type() {
		case attrID:
			r.ID = d.Uint32()
		case attrName:
			r.Name = d.String()
		case attrFlags:
			r.Flags = d.Uint32()
		case attrValue:
			r.Value = decoderUint(d)
		case attrGeneration:
			r.Generation = decoderUint(d)
		}
	}
	if err := d.Err(); err != nil {
		return err
	}
	s.addEntry(&r)
	return nil
}

// decoderUint decodes a uint, which has 4 or 8 bytes. The library has no
// function for it.
func decoderUint(d *netlink.AttributeDecoder) (v uint64) {
	d.Do(func(b []byte) (err error) {
		v, err = uintOf(b)
		return err
	})
	return v
}

func uintOf(b []byte) (uint64, error) {
	switch len(b) {
	case 4:
		return uint64(binary.NativeEndian.Uint32(b)), nil
	case 8:
		return binary.NativeEndian.Uint64(b), nil
	}
	return 0, fmt.Errorf("a number of %d bytes", len(b))
}
