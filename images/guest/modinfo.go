package guest

import (
	"bytes"
	"compress/gzip"
	"debug/elf"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"

	"github.com/etcdlab/etcdlab/internal/kmod"
)

// maxModule bounds a module, so that a broken archive cannot fill the memory.
const maxModule = 64 << 20

// readModule reads a module's file as the kernel wants it, not compressed.
func readModule(path string) ([]byte, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if data, err = inflate(data); err != nil {
		return nil, fmt.Errorf("unpack %s: %w", path, err)
	}
	return data, nil
}

// inflate undoes whatever compression the data's first bytes tell of.
func inflate(data []byte) ([]byte, error) {
	var r io.Reader
	var err error
	switch {
	case bytes.HasPrefix(data, []byte("\xFD7zXZ\x00")):
		r, err = xz.NewReader(bytes.NewReader(data))
	case bytes.HasPrefix(data, []byte("\x1F\x8B")):
		r, err = gzip.NewReader(bytes.NewReader(data))
	case bytes.HasPrefix(data, []byte("\x28\xB5\x2F\xFD")):
		var z *zstd.Decoder
		if z, err = zstd.NewReader(bytes.NewReader(data), zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxModule)); err == nil {
			defer z.Close()
			r = z
		}
	default:
		return data, nil
	}
	if err != nil {
		return nil, err
	}
	out, err := io.ReadAll(io.LimitReader(r, maxModule+1))
	if err == nil && len(out) > maxModule {
		err = fmt.Errorf("more than %d bytes", maxModule)
	}
	return out, err
}

// modinfo is what a module says of itself.
type modinfo struct {
	depends []string // by name
	pre     []string // soft dependencies: may be missing
	aliases []string
}

// readModinfo reads the section .modinfo of a module: key=value, each with a NUL.
func readModinfo(module []byte) (modinfo, error) {
	f, err := elf.NewFile(bytes.NewReader(module))
	if err != nil {
		return modinfo{}, fmt.Errorf("read module: %w", err)
	}
	section := f.Section(".modinfo")
	if section == nil {
		return modinfo{}, fmt.Errorf("read module: it has no section .modinfo")
	}
	text, err := section.Data()
	if err != nil {
		return modinfo{}, fmt.Errorf("read module: %w", err)
	}
	return parseModinfo(text), nil
}

func parseModinfo(text []byte) (m modinfo) {
	for field := range bytes.SplitSeq(text, []byte{0}) {
		key, value, _ := strings.Cut(string(field), "=")
		switch key {
		case "depends":
			for name := range strings.SplitSeq(value, ",") {
				if name = strings.TrimSpace(name); name != "" {
					m.depends = append(m.depends, kmod.Name(name))
				}
			}
		case "softdep":
			m.pre = append(m.pre, preOf(value)...)
		case "alias":
			m.aliases = append(m.aliases, value)
		}
	}
	return m
}

// preOf gives the names after pre: and before post:.
func preOf(softdep string) (names []string) {
	pre := false
	for word := range strings.FieldsSeq(softdep) {
		switch {
		case strings.HasSuffix(word, ":"):
			pre = word == "pre:"
		case pre:
			names = append(names, kmod.Name(word))
		}
	}
	return names
}
