// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"fmt"
	"net"
	"runtime"

	vishvananda "github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// inNamespace calls do on a thread in a new network namespace. Processes that
// do starts are in it, too. Thread and namespace end when do returns.
func inNamespace(do func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			done <- fmt.Errorf("a network namespace of its own: %w", err)
			return
		}
		done <- do()
	}()
	return <-done
}

// deviceNames are the two ends of a veth.
var deviceNames = [2]string{"left", "right"}

func createDevices(up bool) error {
	veth := &vishvananda.Veth{LinkAttrs: vishvananda.LinkAttrs{Name: deviceNames[0]}, PeerName: deviceNames[1]}
	if err := vishvananda.LinkAdd(veth); err != nil {
		return fmt.Errorf("a veth: %w", err)
	}
	for _, name := range deviceNames {
		link, err := vishvananda.LinkByName(name)
		if err == nil && up {
			err = vishvananda.LinkSetUp(link)
		}
		if err != nil {
			return fmt.Errorf("device %s: %w", name, err)
		}
	}
	return nil
}

// deviceNumbers returns the indices of all devices of the namespace, by name.
func deviceNumbers() (map[string]uint32, error) {
	all, err := net.Interfaces()
	if err != nil {
		return nil, err
	}
	devices := map[string]uint32{}
	for _, i := range all {
		devices[i.Name] = uint32(i.Index)
	}
	return devices, nil
}

// deviceIndices returns the indices of deviceNames.
func deviceIndices() (indices [2]uint32, err error) {
	devices, err := deviceNumbers()
	for i, name := range deviceNames {
		indices[i] = devices[name]
	}
	return indices, err
}
