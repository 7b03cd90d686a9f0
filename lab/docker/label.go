package docker

import (
	"encoding/json"
	"fmt"
	"os/user"
	"strconv"
	"time"

	"github.com/docker/docker/api/types/filters"

	"github.com/etcdlab/etcdlab/lab"
	"github.com/etcdlab/etcdlab/lab/spec"
)

// Labels of everything that is made. A lab is found by them alone.
const (
	labelLab      = "dev.etcdlab.lab"
	labelMember   = "dev.etcdlab.member"   // not on networks
	labelOwner    = "dev.etcdlab.owner"    // the user who made it
	labelCreated  = "dev.etcdlab.created"  // RFC 3339
	labelVersion  = "dev.etcdlab.version"  // of etcdlab
	labelSpec     = "dev.etcdlab.spec"     // the lab file, as JSON
	labelSubnet   = "dev.etcdlab.subnet"   // of the lab's network
	labelBinaries = "dev.etcdlab.binaries" // the member's key and version, as JSON
	labelRole     = "dev.etcdlab.role"     // of networks: lab or control
)

// Roles of networks.
const (
	roleLab     = "lab"     // what members say to each other
	roleControl = "control" // with a plain disk: what the controller says to agents
)

// labels of what belongs to a lab or, with a member's name, to that.
func labels(s *spec.Lab, member, subnet, version string, b lab.Binaries) (map[string]string, error) {
	data, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("label what is made for lab %s: %w", s.Name, err)
	}
	l := map[string]string{
		labelLab: s.Name, labelOwner: owner(), labelCreated: time.Now().UTC().Format(time.RFC3339),
		labelVersion: version, labelSpec: string(data), labelSubnet: subnet,
	}
	if member == "" {
		return l, nil
	}
	l[labelMember] = member
	if data, err = json.Marshal(lab.Binaries{Key: b.Key, Version: b.Version, Container: b.Container}); err != nil {
		return nil, fmt.Errorf("label what is made for lab %s: %w", s.Name, err)
	}
	l[labelBinaries] = string(data)
	return l, nil
}

// parseSpec reads a lab back from labels; nil is that they have none that can
// be read, of that lab.
func parseSpec(l map[string]string) *spec.Lab {
	s := new(spec.Lab)
	if json.Unmarshal([]byte(l[labelSpec]), s) != nil || s.Name != l[labelLab] || len(s.Members) == 0 {
		return nil
	}
	for _, m := range s.Members {
		if lab.CheckName("member", m.Name) != nil {
			return nil
		}
	}
	return s
}

// parseBinaries reads what a member was made of.
func parseBinaries(l map[string]string) (b lab.Binaries) {
	if json.Unmarshal([]byte(l[labelBinaries]), &b) != nil {
		return lab.Binaries{}
	}
	return b
}

// of selects what carries the lab's label; with name "" that of any lab.
func of(name string) filters.Args {
	if name == "" {
		return filters.NewArgs(filters.Arg("label", labelLab))
	}
	return filters.NewArgs(filters.Arg("label", labelLab+"="+name))
}

// owner is the user of the controller.
func owner() string {
	u, err := user.Current()
	if err != nil {
		return "unknown"
	}
	if u.Username == "" {
		return strconv.Quote(u.Uid)
	}
	return u.Username
}

// Names of what is made. No lab's or member's name has a dot, so none of these
// is another's.
func networkName(lab string) string           { return "etcdlab-" + lab }
func controlName(lab string) string           { return "etcdlab-" + lab + ".control" }
func containerName(lab, member string) string { return "etcdlab-" + lab + "." + member }
func volumeName(lab, member string) string    { return "etcdlab-" + lab + "." + member }
