// SPDX-License-Identifier: BSD-3-Clause

package kernels

import (
	"bytes"
	"compress/gzip"
	"context"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/klauspost/compress/zstd"

	"bulkdump/vm/harness/internal/cache"
	"bulkdump/vm/harness/internal/host"
)

// unpackKernel sets what QEMU boots: the kernel itself, unpacked from its image
// once. An image that unpacks itself takes three seconds of each boot without KVM.
// The image boots if QEMU cannot enter the kernel directly (it lacks CONFIG_PVH),
// or if the compression is unknown here.
func unpackKernel(ctx context.Context, c *cache.Cache, k *Kernel) error {
	k.Boot = k.Image
	if !k.Arch.IsPC() {
		return nil
	}
	const name = "vmlinux"
	dir, err := c.Entry(ctx, "unpacked-"+cache.Digest(k.identity(), k.Image), func(dir string) error {
		image, err := os.ReadFile(k.Image)
		if err != nil {
			return err
		}
		text, err := unpackImage(ctx, image)
		if err != nil {
			return fmt.Errorf("unpack %s: %w", k.Image, err)
		}
		if !entersAsPVH(text) {
			return nil // an empty entry says so
		}
		return os.WriteFile(filepath.Join(dir, name), text, 0o644)
	})
	if err != nil {
		return err
	}
	file := filepath.Join(dir, name)
	if _, err := os.Stat(file); err == nil {
		k.Boot = file
	}
	return nil
}

// unpackImage returns the kernel in an image, nil if the compression is unknown
// here.
func unpackImage(ctx context.Context, image []byte) ([]byte, error) {
	packed, err := payload(image)
	if err != nil {
		return nil, err
	}
	// The last four bytes are the length when unpacked.
	if len(packed) < 8 {
		return nil, errors.New("it holds no kernel")
	}
	size := int64(binary.LittleEndian.Uint32(packed[len(packed)-4:]))
	var r io.Reader
	switch {
	case bytes.HasPrefix(packed, []byte("\x1f\x8b")):
		z, err := gzip.NewReader(bytes.NewReader(packed))
		if err != nil {
			return nil, err
		}
		r = z
	case bytes.HasPrefix(packed, []byte("\x28\xb5\x2f\xfd")):
		z, err := zstd.NewReader(bytes.NewReader(packed), zstd.WithDecoderMaxWindow(1<<31), zstd.WithDecoderConcurrency(1))
		if err != nil {
			return nil, err
		}
		defer z.Close()
		r = z
	case bytes.HasPrefix(packed, []byte("\xfd7zXZ\x00")):
		cmd := host.Command(ctx, "xz", "--decompress", "--stdout", "--single-stream")
		cmd.Stdin = bytes.NewReader(packed)
		text, err := host.Output(cmd)
		if err != nil {
			return nil, err
		}
		r = bytes.NewReader([]byte(text))
	default:
		return nil, nil
	}
	text := make([]byte, size)
	_, err = io.ReadFull(r, text)
	return text, err
}

// payload is the part of an image that holds the kernel: behind the sectors of
// the setup, at payload_offset (0x248), payload_length bytes
// (Documentation/arch/x86/boot.rst).
func payload(image []byte) ([]byte, error) {
	if len(image) < 0x250 || string(image[0x202:0x206]) != "HdrS" {
		return nil, errors.New("it is no image of an x86 kernel")
	}
	sectors := uint64(image[0x1f1])
	if sectors == 0 {
		sectors = 4 // 0 means 4 (the same text)
	}
	start := (sectors+1)*512 + uint64(binary.LittleEndian.Uint32(image[0x248:]))
	end := start + uint64(binary.LittleEndian.Uint32(image[0x24c:]))
	if end > uint64(len(image)) {
		return nil, fmt.Errorf("it is cut off: %d of %d bytes", len(image), end)
	}
	return image[start:end], nil
}

// entersAsPVH reports whether the kernel has a note with an entry point in
// protected mode, XEN_ELFNOTE_PHYS32_ENTRY (include/xen/interface/elfnote.h).
// QEMU needs it to start an unpacked kernel.
func entersAsPVH(text []byte) bool {
	const phys32Entry = 18
	f, err := elf.NewFile(bytes.NewReader(text))
	if err != nil {
		return false
	}
	for _, p := range f.Progs {
		if p.Type != elf.PT_NOTE {
			continue
		}
		notes, err := io.ReadAll(p.Open())
		if err != nil {
			return false
		}
		for len(notes) >= 12 {
			nameSize := uint64(f.ByteOrder.Uint32(notes))
			descSize := uint64(f.ByteOrder.Uint32(notes[4:]))
			kind := f.ByteOrder.Uint32(notes[8:])
			desc := 12 + (nameSize+3)&^3
			next := desc + (descSize+3)&^3
			if next > uint64(len(notes)) {
				return false
			}
			if kind == phys32Entry && string(notes[12:12+nameSize]) == "Xen\x00" {
				return true
			}
			notes = notes[next:]
		}
	}
	return false
}
