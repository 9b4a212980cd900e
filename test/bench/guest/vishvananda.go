// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"context"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"bulkdump/client"
)

// readVishvananda reads a dump as the library's own families do: Execute, then
// ParseRouteAttr for each message (genetlink_linux.go, devlink_linux.go).
func readVishvananda(_ context.Context, j *job, s *sink) error {
	messages, err := requestOf(j).Execute(unix.NETLINK_GENERIC, j.family)
	if err != nil {
		return err
	}
	for _, m := range messages {
		if err := decodeVishvananda(m, s); err != nil {
			return err
		}
	}
	return nil
}

// readVishvanandaIter uses a callback per message, as the library's newer dumps
// do.
func readVishvanandaIter(_ context.Context, j *job, s *sink) (err error) {
	executed := requestOf(j).ExecuteIter(unix.NETLINK_GENERIC, j.family, func(m []byte) bool {
		err = decodeVishvananda(m, s)
		return err == nil
	})
	if executed != nil {
		return executed
	}
	return err
}

func requestOf(j *job) *nl.NetlinkRequest {
	r := nl.NewNetlinkRequest(int(j.family), unix.NLM_F_DUMP)
	r.AddRawData(j.request)
	return r
}

func decodeVishvananda(m []byte, s *sink) error {
	attrs, err := nl.ParseRouteAttr(m[genlHeaderLen:])
	if err != nil {
		return err
	}
	var r client.Entry
	for _, a := range attrs {
		switch a.Attr.Type {
		case attrID:
			r.ID = nl.NativeEndian().Uint32(a.Value)
		case attrName:
			r.Name = nl.BytesToString(a.Value)
		case attrFlags:
			r.Flags = nl.NativeEndian().Uint32(a.Value)
		case attrValue:
			r.Value, err = uintOf(a.Value)
		case attrGeneration:
			r.Generation, err = uintOf(a.Value)
		}
		if err != nil {
			return err
		}
	}
	s.addEntry(&r)
	return nil
}
