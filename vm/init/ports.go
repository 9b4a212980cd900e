// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// openPort opens a device that carries bytes to the host, unchanged. A port
// NAME of a virtio console is found by its name.
func openPort(name string) (*os.File, error) {
	path := name
	// An emulated machine on a busy host may take half a minute. The host has a limit
	// of its own for the boot.
	deadline := time.Now().Add(5 * time.Minute)
	for {
		if port, ok := strings.CutPrefix(name, "virtio:"); ok {
			path = virtioPort(port)
		}
		if path != "" {
			// Blocking, so that the writer waits for the host.
			fd, err := unix.Open(path, unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
			if err == nil {
				if err := rawTTY(fd); err != nil {
					return nil, fmt.Errorf("%s: %w", name, err)
				}
				return os.NewFile(uintptr(fd), path), nil
			}
			if !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.ENXIO) {
				return nil, fmt.Errorf("open %s: %w", name, err)
			}
		}
		// The driver knows the name of a port only after the host has sent it.
		if time.Now().After(deadline) {
			return nil, fmt.Errorf("no port %s", name)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func virtioPort(name string) string {
	files, _ := filepath.Glob("/sys/class/virtio-ports/*/name")
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err == nil && strings.TrimSpace(string(text)) == name {
			return "/dev/" + filepath.Base(filepath.Dir(f))
		}
	}
	return ""
}

// rawTTY turns off everything that a tty does to bytes. It leaves other devices
// alone, which do not change them.
func rawTTY(fd int) error {
	t, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if errors.Is(err, unix.ENOTTY) || errors.Is(err, unix.EINVAL) {
		return nil
	}
	if err != nil {
		return err
	}
	t.Iflag, t.Oflag, t.Lflag = 0, 0, 0
	t.Cflag = unix.CS8 | unix.CREAD | unix.CLOCAL | unix.B115200
	t.Cc[unix.VMIN], t.Cc[unix.VTIME] = 1, 0
	return unix.IoctlSetTermios(fd, unix.TCSETS, t)
}
