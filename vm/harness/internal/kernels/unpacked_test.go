// SPDX-License-Identifier: BSD-3-Clause

package kernels

import (
	"bytes"
	"compress/gzip"
	"debug/elf"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"bulkdump/vm/harness/internal/arch"
)

// note is an ELF note as a kernel has it.
func note(name string, kind uint32, desc []byte) []byte {
	b := binary.LittleEndian.AppendUint32(nil, uint32(len(name)+1))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(desc)))
	b = binary.LittleEndian.AppendUint32(b, kind)
	b = append(b, name+"\x00"...)
	b = append(b, make([]byte, -len(b)&3)...)
	b = append(b, desc...)
	return append(b, make([]byte, -len(b)&3)...)
}

// elfKernel is a kernel of nothing but these notes.
func elfKernel(notes ...[]byte) []byte {
	text := bytes.Join(notes, nil)
	var b bytes.Buffer
	const headers = 64 + 56
	binary.Write(&b, binary.LittleEndian, elf.Header64{
		Ident: [16]byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)},
		Type:  uint16(elf.ET_EXEC), Machine: uint16(elf.EM_X86_64), Version: 1,
		Phoff: 64, Ehsize: 64, Phentsize: 56, Phnum: 1,
	})
	binary.Write(&b, binary.LittleEndian, elf.Prog64{
		Type: uint32(elf.PT_NOTE), Off: headers, Filesz: uint64(len(text)), Memsz: uint64(len(text)), Align: 4,
	})
	b.Write(text)
	return b.Bytes()
}

var pvhKernel = elfKernel(note("GNU", 3, []byte("build")), note("Xen", 18, []byte{0, 0, 0, 1}))

// packedImage is an image with that payload.
func packedImage(packed []byte) []byte {
	image := make([]byte, 3*512+0x40)
	image[0x1f1] = 2
	copy(image[0x202:], "HdrS")
	binary.LittleEndian.PutUint32(image[0x248:], 0x40)
	binary.LittleEndian.PutUint32(image[0x24c:], uint32(len(packed)))
	return append(append(image, packed...), "the rest of the image"...)
}

// withSize ends a packed kernel as the kernel's build does.
func withSize(packed []byte, size int) []byte {
	return binary.LittleEndian.AppendUint32(bytes.Clone(packed), uint32(size))
}

func TestUnpack(t *testing.T) {
	gz := func(text []byte) []byte { // here the size is the format's own
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		w.Write(text)
		w.Close()
		return b.Bytes()
	}
	w, _ := zstd.NewWriter(nil)
	zst := withSize(w.EncodeAll(pvhKernel, nil), len(pvhKernel))
	cmd := exec.Command("xz", "--check=crc32")
	cmd.Stdin = bytes.NewReader(pvhKernel)
	xz, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	xz = withSize(xz, len(pvhKernel))
	for _, tt := range []struct {
		name   string
		packed []byte
		want   []byte // nothing: the image itself is booted
	}{
		{"gzip", gz(pvhKernel), pvhKernel},
		{"zstd", zst, pvhKernel},
		{"xz", xz, pvhKernel},
		{"another", []byte("\x02\x21\x4c\x18 lz4, say"), nil},
		{"no such entry", gz(elfKernel(note("Xen", 17, []byte{0, 0, 0, 1}))), nil},
		{"another's note", gz(elfKernel(note("GNU", 18, []byte{0, 0, 0, 1}))), nil},
		{"notes that lie", gz(elfKernel([]byte("\xff\xff\xff\xff\xff\xff\xff\xff\x12\x00\x00\x00Xen\x00"))), nil},
		{"no ELF", gz([]byte("a kernel, but which?")), nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := openCacheOf(t)
			k := &Kernel{Arch: arch.Host, root: "/root-" + tt.name, Image: filepath.Join(t.TempDir(), "bzImage")}
			os.WriteFile(k.Image, packedImage(tt.packed), 0o644)
			for range 2 { // made, and found
				if err := unpackKernel(t.Context(), c, k); err != nil {
					t.Fatal(err)
				}
				if tt.want == nil {
					if k.Boot != k.Image {
						t.Fatalf("boots %s", k.Boot)
					}
					continue
				}
				got, err := os.ReadFile(k.Boot)
				if k.Boot == k.Image || err != nil || !bytes.Equal(got, tt.want) {
					t.Fatalf("boots %s: %q, %v", k.Boot, got, err)
				}
				os.Remove(k.Image)
			}
		})
	}
}

func TestUnpackRefuses(t *testing.T) {
	whole := packedImage(withSize([]byte("\x1f\x8b, but no more of gzip"), 10))
	for want, image := range map[string][]byte{
		"no image of an x86 kernel": bytes.Repeat([]byte("x"), 0x300),
		"it is cut off":             whole[:0x650],
		"it holds no kernel":        packedImage(nil),
		"gzip":                      whole,
	} {
		c := openCacheOf(t)
		k := &Kernel{Arch: arch.Host, root: "/root", Image: filepath.Join(t.TempDir(), "bzImage")}
		os.WriteFile(k.Image, image, 0o644)
		err := unpackKernel(t.Context(), c, k)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), k.Image) {
			t.Errorf("%s: got %v", want, err)
		}
		if left, _ := filepath.Glob(c.Path("unpacked-*")); len(left) != 0 {
			t.Errorf("%s: left %q", want, left)
		}
	}
}
