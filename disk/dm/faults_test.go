package dm

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/etcdlab/etcdlab/disk"
)

func TestFaultTables(t *testing.T) {
	const sectors = 1000
	dev := Number{254, 0}
	for name, tt := range map[string]struct {
		faults []disk.Fault
		want   string // tables, separated by ;
	}{
		"healed": {nil, "0 1000 linear 254:0 0"},
		"writes": {[]disk.Fault{{Op: disk.OpWrite}}, "0 1000 flakey 254:0 0 0 1073741824 1 error_writes"},
		"reads for a while": {[]disk.Fault{{Op: disk.OpRead, For: time.Second}},
			"0 1000 flakey 254:0 0 0 1073741824 1 error_reads"},
		"flushes": {[]disk.Fault{{Op: disk.OpFlush}}, "0 992 linear 254:0 0; 992 8 flakey 254:0 992 0 1073741824 1 error_writes"},
		"the first flush is every": {[]disk.Fault{{Op: disk.OpFlush, Nth: 1}},
			"0 992 linear 254:0 0; 992 8 flakey 254:0 992 0 1073741824 1 error_writes"},
		"a bad sector": {[]disk.Fault{{Op: disk.OpRead, Offset: 4096, Length: 512}, {Op: disk.OpWrite, Offset: 4096, Length: 512}},
			"0 8 linear 254:0 0; 8 1 error; 9 991 linear 254:0 9"},
		"not aligned": {[]disk.Fault{{Op: disk.OpRead, Offset: 4097, Length: 512}, {Op: disk.OpWrite, Offset: 4097, Length: 512}},
			"0 8 linear 254:0 0; 8 2 error; 10 990 linear 254:0 10"},
		"a range of reads": {[]disk.Fault{{Op: disk.OpRead, Offset: 4096, Length: 4096}},
			"0 8 linear 254:0 0; 8 8 flakey 254:0 8 0 1073741824 1 error_reads; 16 984 linear 254:0 16"},
		"the rest": {[]disk.Fault{{Op: disk.OpRead, Offset: 4096}, {Op: disk.OpWrite}},
			"0 8 flakey 254:0 0 0 1073741824 1 error_writes; 8 992 error"},
		"everything": {[]disk.Fault{{Op: disk.OpRead}, {Op: disk.OpWrite}, {Op: disk.OpFlush}},
			"0 992 error; 992 8 flakey 254:0 992 0 1073741824 2 error_writes error_reads"},
		"writes of a range and flushes": {[]disk.Fault{{Op: disk.OpWrite, Length: 4096}, {Op: disk.OpFlush}},
			"0 8 flakey 254:0 0 0 1073741824 1 error_writes; 8 984 linear 254:0 8; 992 8 flakey 254:0 992 0 1073741824 1 error_writes"},
	} {
		table, err := faultTable(dev, sectors, tt.faults)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if err := table.Check(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got := strings.ReplaceAll(strings.TrimSpace(table.String()), "\n", "; "); got != tt.want {
			t.Errorf("%s: the table is\n%s, want\n%s", name, got, tt.want)
		}
	}
}

func TestFaultsThatCannotBe(t *testing.T) {
	for name, tt := range map[string]struct {
		fault       disk.Fault
		unsupported bool
	}{
		"nth":                {disk.Fault{Op: disk.OpFlush, Nth: 2}, true},
		"count":              {disk.Fault{Op: disk.OpWrite, Count: 1}, true},
		"writes of a range":  {disk.Fault{Op: disk.OpWrite, Length: 4096}, true},
		"nothing":            {disk.Fault{}, false},
		"a flush of a range": {disk.Fault{Op: disk.OpFlush, Length: 1}, false},
		"beyond":             {disk.Fault{Op: disk.OpRead, Offset: 1 << 40}, false},
		"past":               {disk.Fault{Op: disk.OpRead, For: -1}, false},
	} {
		_, err := faultTable(Number{}, 1000, []disk.Fault{tt.fault})
		if checked := CheckFault(tt.fault); name != "beyond" && (checked == nil) {
			t.Errorf("%s: it passes before a disk is there", name)
		}
		if u := (*UnsupportedError)(nil); err == nil || errors.As(err, &u) != tt.unsupported {
			t.Errorf("%s: %v", name, err)
		}
	}
}
