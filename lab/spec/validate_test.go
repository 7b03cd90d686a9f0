package spec

import (
	"errors"
	"strings"
	"testing"
)

// A lab that flags or an API made has no places; its problems name the path.
func TestValidateWithoutAFile(t *testing.T) {
	valid := func() *Lab {
		l := &Lab{}
		l.Default()
		return l
	}
	for want, change := range map[string]func(l *Lab){
		`provider: unknown provider "dcoker", did you mean "docker"?`:                          func(l *Lab) { l.Provider = "dcoker" },
		`members: 10 members: a lab has 1 to 9`:                                                func(l *Lab) { l.Members = Count(10) },
		`members: 0 members: a lab has 1 to 9`:                                                 func(l *Lab) { l.Members = nil },
		`members[1].name: another member is named "m1"`:                                        func(l *Lab) { l.Members[1].Name = "m1" },
		`name: the lab has no name`:                                                            func(l *Lab) { l.Name = "" },
		`etcd: neither version nor source is set`:                                              func(l *Lab) { l.Etcd.Version = "" },
		`etcd.args.data-dir: etcdlab sets --data-dir itself: it is on the member's own disk`:   func(l *Lab) { l.Etcd.Args["data-dir"] = "/x" },
		`etcd.args.max-txn-ops: the value has a line break or another control character`:       func(l *Lab) { l.Etcd.Args["max-txn-ops"] = "1\n" },
		`members[0].etcd.version: "v9" is not a release of etcd; write one such as v3.7.3, or`: func(l *Lab) { l.Members[0].Etcd.Version = "v9" },
		`members[0].etcd.version: etcd v4.0.0 is not supported`:                                func(l *Lab) { l.Members[0].Etcd.Version = "v4.0.0" },
		`disk.size: size 64KiB is too small for ext4, which needs 64MiB`:                       func(l *Lab) { l.Disk.Size = 64 << 10 },
		`disk.size: size 127MiB is too small for btrfs, which needs 128MiB`:                    func(l *Lab) { l.Disk.Size, l.Disk.FS = 127<<20, "btrfs" },
		`disk.profile: unknown disk profile "lying-flash", did you mean "lying-flush"?`:        func(l *Lab) { l.Disk.Profile = "lying-flash" },
		`network.subnet: subnet 198.18.0.0/29 is a /29; a lab's is /24 to /28`:                 func(l *Lab) { l.Network.Subnet = "198.18.0.0/29" },
		`machine.memory: memory 64MiB is too small: a member needs 256MiB`:                     func(l *Lab) { l.Machine.Memory = 64 << 20 },
		`machine.cpus: 65 cpus: a machine has 1 to 64`:                                         func(l *Lab) { l.Machine.CPUs = 65 },
		`machine.accel: unknown accel "kwm", did you mean "kvm"?`:                              func(l *Lab) { l.Machine.Accel = "kwm" },
		`network.subnet: "198.18" is not a subnet`:                                             func(l *Lab) { l.Network.Subnet = "198.18" },
		`etcd.args.election-timeout: election-timeout 60000 is more than 50000 ms`:             func(l *Lab) { l.Etcd.Args[election] = "60000" },
		`members[2].etcd.args.election-timeout: election-timeout 100 is less than 5 times heartbeat-interval 30`: func(l *Lab) {
			l.Members[2].Etcd.Args = map[string]string{election: "100"}
		},
	} {
		lab := valid()
		change(lab)
		err := lab.Validate()
		var problem *Error
		if !errors.As(err, &problem) || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("want %s\ngot  %v", want, err)
		}
	}
	if err := valid().Validate(); err != nil {
		t.Error(err)
	}
	// The least that is allowed.
	least := valid()
	least.Members, least.Disk.FS, least.Disk.Size = Count(1), "xfs", 300<<20
	least.Network.Subnet = "10.0.0.16/28"
	least.Etcd.Args = map[string]string{heartbeat: "10", election: "50"}
	if err := least.Validate(); err != nil {
		t.Error(err)
	}
}

func TestValidateTellsEverything(t *testing.T) {
	lab := &Lab{}
	lab.Default()
	lab.Provider, lab.Disk.FS, lab.Members[0].Name = "x", "y", "Z"
	if got := strings.Count(lab.Validate().Error(), "\n"); got != 2 {
		t.Errorf("%d line breaks in:\n%v", got, lab.Validate())
	}
}

func TestOwnedFlags(t *testing.T) {
	for flag, mine := range map[string]bool{
		"name": true, "data-dir": true, "wal-dir": true, "listen-metrics-urls": true, "initial-cluster": true,
		"discovery-srv": true, "cert-file": true, "client-cert-auth": true, "peer-client-cert-auth": true, "peer-cert-allowed-cn": true,
		"snapshot-count": false, "unsafe-no-fsync": false, "log-level": false, "auto-compaction-mode": false, "cipher-suites": false,
		"tls-min-version": false, "quota-backend-bytes": false, "experimental-initial-corrupt-check": false, "pre-vote": false,
	} {
		if got := ownedFlag(flag) != ""; got != mine {
			t.Errorf("%s: etcdlab's own is %v", flag, got)
		}
	}
}

func TestEnv(t *testing.T) {
	for name, ok := range map[string]bool{
		"ETCD_VERIFY": true, "GODEBUG": true, "GOFAIL_FAILPOINTS": true, "ETCD_SNAPSHOT_COUNT": true, "_x1": true,
		"ETCD_DATA_DIR": false, "ETCD_ELECTION_TIMEOUT": false, "GOFAIL_HTTP": false, "1X": false, "A=B": false, "": false,
	} {
		if got := badEnv(name, "v"); (got == "") != ok {
			t.Errorf("%q: %q", name, got)
		}
	}
}
