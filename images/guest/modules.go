package guest

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/etcdlab/etcdlab/internal/kmod"
)

// bootModules are loaded as soon as the guest's init runs: without the first
// three there is no disk and no network, and QEMU learns of a panic by the last.
// The others wait until they are wanted, which keeps the boot short.
var (
	bootModules = []string{"virtio_pci", "virtio_blk", "virtio_net", "virtio_rng", "pvpanic_mmio"}
	demandList  = []string{
		"virtio_console", "qemu_fw_cfg", "dm_mod", "dm_flakey", "dm_delay", "dm_log_writes", "dm_snapshot",
		"loop", "fuse", "nbd", "sch_netem", "ext4", "xfs", "btrfs", "crc32c",
		"nf_tables", "nft_ct", "nft_limit", "nft_reject_inet", "nft_numgen", "nft_compat", "bridge", "veth", "dummy",
	}
	// These are nice to have: kernels have them under other names, or as part
	// of something else.
	optional = []string{"nft_ct", "nft_limit", "nft_reject_inet", "nft_numgen", "nft_compat", "dummy", "crc32c", "qemu_fw_cfg", "virtio_console", "virtio_rng", "pvpanic_mmio"}
)

// tree is the modules of one kernel on disk.
type tree struct {
	dir     string              // .../lib/modules/RELEASE
	files   map[string]string   // by name, relative to dir
	needs   map[string][]string // of modules.dep: everything a module needs; nil without one
	builtin map[string]bool
}

// readTree reads what there is. Packages have no modules.dep (it is made when
// they are installed): then the modules themselves say what they need.
func readTree(dir string) (*tree, error) {
	t := &tree{dir: dir, files: map[string]string{}}
	text, err := os.ReadFile(filepath.Join(dir, "modules.builtin"))
	if err != nil {
		return nil, fmt.Errorf("read the modules of a kernel: %w", err)
	}
	t.builtin = parseBuiltin(text)
	text, err = os.ReadFile(filepath.Join(dir, "modules.dep"))
	if err == nil {
		if t.files, t.needs, err = parseDep(text); err != nil {
			return nil, fmt.Errorf("read %s: %w", filepath.Join(dir, "modules.dep"), err)
		}
		if len(t.files) > 0 {
			return t, nil
		}
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	t.needs = nil
	err = filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !isModule(p) {
			return err
		}
		rel, err := filepath.Rel(dir, p)
		if err == nil && t.files[kmod.Name(p)] == "" {
			t.files[kmod.Name(p)] = filepath.ToSlash(rel)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read the modules of a kernel: %w", err)
	}
	return t, nil
}

func isModule(p string) bool {
	for _, ext := range []string{".gz", ".xz", ".zst"} {
		p = strings.TrimSuffix(p, ext)
	}
	return strings.HasSuffix(p, ".ko")
}

// parseBuiltin reads modules.builtin: a path a line.
func parseBuiltin(text []byte) map[string]bool {
	names := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); isModule(line) {
			names[kmod.Name(line)] = true
		}
	}
	return names
}

// parseDep reads modules.dep: PATH: PATH..., the paths of all that it needs,
// the nearest first.
func parseDep(text []byte) (files map[string]string, needs map[string][]string, err error) {
	files, needs = map[string]string{}, map[string][]string{}
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, 1<<20)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		file, rest, ok := strings.Cut(line, ":")
		if !ok || !isModule(file) || !fs.ValidPath(file) {
			return nil, nil, fmt.Errorf("line %d: no module's path before a colon", n)
		}
		name := kmod.Name(file)
		files[name], needs[name] = file, nil
		for need := range strings.FieldsSeq(rest) {
			needs[name] = append(needs[name], kmod.Name(need))
		}
	}
	return files, needs, lines.Err()
}

// choice is a list of modules with their contents.
type choice struct {
	list kmod.List
	data map[string][]byte // by name
}

// choose takes the wanted modules and all that they need.
func (t *tree) choose(ctx context.Context, release string) (*choice, error) {
	c := &choice{list: kmod.List{Release: release}, data: map[string][]byte{}}
	for i, name := range slices.Concat(bootModules, demandList) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		switch {
		case t.builtin[name]:
			c.list.Builtin = append(c.list.Builtin, name)
		case t.files[name] != "":
			if err := t.add(c, name, i < len(bootModules), nil); err != nil {
				return nil, err
			}
		case !slices.Contains(optional, name):
			c.list.Lacks = append(c.list.Lacks, name)
		}
	}
	slices.Sort(c.list.Builtin)
	slices.Sort(c.list.Lacks)
	slices.SortFunc(c.list.Aliases, func(a, b kmod.Alias) int { return strings.Compare(a.Name, b.Name) })
	return c, nil
}

// add puts a module in after those that it needs.
func (t *tree) add(c *choice, name string, boot bool, above []string) error {
	if c.data[name] != nil {
		return nil
	}
	if slices.Contains(above, name) {
		return fmt.Errorf("take module %s: it needs itself: %s", name, strings.Join(append(above, name), ", "))
	}
	data, err := readModule(filepath.Join(t.dir, filepath.FromSlash(t.files[name])))
	if err != nil {
		return fmt.Errorf("take module %s: %w", name, err)
	}
	info, err := readModinfo(data)
	if err != nil {
		return fmt.Errorf("take module %s: %w", name, err)
	}
	m := kmod.Module{Name: name, File: name + ".ko", Boot: boot}
	needs := slices.Concat(info.pre, info.depends, t.needs[name])
	for i, need := range needs {
		if slices.Contains(m.Needs, need) || t.builtin[need] {
			continue
		}
		if t.files[need] == "" {
			if i < len(info.pre) {
				continue
			}
			return fmt.Errorf("take module %s: it needs %s, which is not in %s", name, need, t.dir)
		}
		if err := t.add(c, need, boot, append(above, name)); err != nil {
			return err
		}
		m.Needs = append(m.Needs, need)
	}
	c.data[name] = data
	c.list.Modules = append(c.list.Modules, m)
	for _, a := range info.aliases {
		// Devices' aliases are for udev, which guests have not.
		if !strings.ContainsAny(a, ":*? ") {
			c.list.Aliases = append(c.list.Aliases, kmod.Alias{Name: a, Module: name})
		}
	}
	return nil
}
