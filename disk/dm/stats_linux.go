package dm

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// region is a range whose operations device mapper counts; it stays over
// changes of the table.
type region struct{ id string }

func (d *Device) newRegion(from, to uint64) (region, error) {
	id, err := d.control.Message(d.name, 0, fmt.Sprintf("@stats_create %d+%d /1 etcdlab", from, to-from))
	if err != nil {
		return region{}, fmt.Errorf("count the operations of %s: %w", d.name, err)
	}
	return region{strings.TrimSpace(id)}, nil
}

func (d *Device) removeRegion(r region) error {
	_, err := d.control.Message(d.name, 0, "@stats_delete "+r.id)
	return err
}

// removeRegions removes what an earlier process counted.
func (d *Device) removeRegions() error {
	list, err := d.control.Message(d.name, 0, "@stats_list etcdlab")
	if err != nil {
		return err
	}
	for line := range strings.Lines(list) {
		id, _, _ := strings.Cut(line, ":")
		if _, err := strconv.Atoi(id); err != nil {
			continue
		}
		if err := d.removeRegion(region{id}); err != nil {
			return err
		}
	}
	return nil
}

// counts are operations that have ended.
type counts struct {
	reads, writes, flushes uint64
	bytesRead, bytesWrote  uint64
}

func (c counts) since(o counts) counts {
	return counts{c.reads - o.reads, c.writes - o.writes, c.flushes - min(o.flushes, c.flushes), c.bytesRead - o.bytesRead, c.bytesWrote - o.bytesWrote}
}

func (d *Device) countRegion(r region) (counts, error) {
	text, err := d.control.Message(d.name, 0, "@stats_print "+r.id)
	if err != nil {
		return counts{}, fmt.Errorf("read the counters of %s: %w", d.name, err)
	}
	c, err := ParseCounters(text)
	if err != nil {
		return counts{}, fmt.Errorf("read the counters of %s: %w", d.name, err)
	}
	return counts{reads: c.Reads, writes: c.Writes, bytesRead: c.ReadSectors * Sector, bytesWrote: c.WriteSectors * Sector}, nil
}

// count reads the counters of the whole device. The block layer counts a flush
// as a write of nothing, device mapper does not count it: the difference is the
// flushes.
func (d *Device) count() (counts, error) {
	c, err := d.countRegion(d.whole)
	if err != nil {
		return c, err
	}
	path := fmt.Sprintf("/sys/block/dm-%d/stat", d.dev.Minor)
	b, err := os.ReadFile(path)
	if err != nil {
		return c, fmt.Errorf("read the counters of %s: %w", d.name, err)
	}
	_, writes, err := parseStat(string(b))
	if err != nil {
		return c, fmt.Errorf("read %s: %w", path, err)
	}
	// d.statBase is what the block layer had counted before the region was made.
	c.flushes = writes - min(writes, d.statBase+c.writes)
	return c, nil
}
