package datadir

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	"github.com/cespare/xxhash/v2"
	bolt "go.etcd.io/bbolt"
	"google.golang.org/protobuf/encoding/protowire"
)

// maxListed bounds each list of Shared. What is beyond is counted and in the
// digest, so that two members can still be compared.
const maxListed = 100_000

// Shared is what else than keys raft replicates: members that applied the same
// entries have it equal. Lists are in the order of their bucket's keys.
type Shared struct {
	Leases         []Lease  `json:"leases,omitempty"`
	LeaseCount     int      `json:"leaseCount"`
	LeaseDigest    uint64   `json:"leaseDigest"` // over IDs and granted TTLs of all; 0: none
	Alarms         []Alarm  `json:"alarms,omitempty"`
	Members        []Peer   `json:"members,omitempty"`
	Removed        []uint64 `json:"removed,omitempty"` // IDs that must not come back
	Auth           Auth     `json:"auth"`
	ClusterVersion string   `json:"clusterVersion,omitempty"` // "": none, as before v3.5
}

// Lease is one of the lease bucket; it holds no deadline.
type Lease struct {
	ID  int64 `json:"id"`
	TTL int64 `json:"ttl"` // seconds, as granted
}

// Alarm is one that a member raised.
type Alarm struct {
	Member uint64 `json:"member"`
	Kind   uint64 `json:"kind"` // etcdserverpb.AlarmType: 1 NOSPACE, 2 CORRUPT
}

// Peer is a member as membership knows it.
type Peer struct {
	ID       uint64   `json:"id"`
	Name     string   `json:"name,omitempty"`
	PeerURLs []string `json:"peerURLs,omitempty"`
	Learner  bool     `json:"learner,omitempty"`
}

// Auth is the state of authentication.
type Auth struct {
	Enabled  bool        `json:"enabled"`
	Revision uint64      `json:"revision"`
	Users    []Principal `json:"users,omitempty"`
	Roles    []Principal `json:"roles,omitempty"`
}

// Principal is a user or a role.
type Principal struct {
	Name   string   `json:"name"`
	Roles  []string `json:"roles,omitempty"` // of a user
	Digest uint64   `json:"digest"`          // of the whole record, password hash and permissions too
}

// each calls f with the records of a bucket that may be missing; a record that
// f refuses is a problem, the first few of which are told.
func (d *dbReader) each(tx *bolt.Tx, bucket string, f func(k, v []byte) error) {
	b := tx.Bucket([]byte(bucket))
	if b == nil {
		return
	}
	bad := 0
	_ = b.ForEach(func(k, v []byte) error {
		if err := f(k, v); err != nil {
			if bad++; bad <= maxProblems {
				d.problem("the bucket %s holds a damaged record at key %x: %v", bucket, k[:min(len(k), excerpt)], err)
			}
		}
		return nil
	})
}

// shared reads the buckets that are not the key bucket.
func (d *dbReader) shared(tx *bolt.Tx) {
	s := &d.rep.Shared
	digest := xxhash.New()
	d.each(tx, "lease", func(k, v []byte) error {
		l, err := parseLease(k, v)
		if err != nil {
			return err
		}
		s.LeaseCount++
		var b [16]byte
		binary.BigEndian.PutUint64(b[:], uint64(l.ID))
		binary.BigEndian.PutUint64(b[8:], uint64(l.TTL))
		_, _ = digest.Write(b[:])
		s.LeaseDigest = digest.Sum64()
		if len(s.Leases) < maxListed {
			s.Leases = append(s.Leases, l)
		}
		return nil
	})
	d.each(tx, "alarm", func(k, _ []byte) error {
		a, err := parseAlarm(k)
		if err == nil && len(s.Alarms) < maxListed {
			s.Alarms = append(s.Alarms, a)
		}
		return err
	})
	d.each(tx, "members", func(k, v []byte) error {
		p, err := parsePeer(k, v)
		if err == nil && len(s.Members) < maxListed {
			s.Members = append(s.Members, p)
		}
		return err
	})
	d.each(tx, "members_removed", func(k, _ []byte) error {
		id, err := strconv.ParseUint(string(k), 16, 64)
		if err == nil && len(s.Removed) < maxListed {
			s.Removed = append(s.Removed, id)
		}
		return err
	})
	d.each(tx, "cluster", func(k, v []byte) error {
		if string(k) == "clusterVersion" {
			s.ClusterVersion = string(v[:min(len(v), maxName)])
		}
		return nil
	})
	d.auth(tx, &s.Auth)
}

func (d *dbReader) auth(tx *bolt.Tx, a *Auth) {
	d.each(tx, "auth", func(k, v []byte) error {
		switch string(k) {
		case "authEnabled":
			if len(v) != 1 || v[0] > 1 {
				return fmt.Errorf("it is neither on nor off")
			}
			a.Enabled = v[0] == 1
		case "authRevision":
			if len(v) != 8 {
				return fmt.Errorf("it is %d bytes long", len(v))
			}
			a.Revision = binary.BigEndian.Uint64(v)
		}
		return nil
	})
	d.each(tx, "authUsers", func(k, v []byte) error {
		p, err := parsePrincipal(k, v, true)
		if err == nil && len(a.Users) < maxListed {
			a.Users = append(a.Users, p)
		}
		return err
	})
	d.each(tx, "authRoles", func(k, v []byte) error {
		p, err := parsePrincipal(k, v, false)
		if err == nil && len(a.Roles) < maxListed {
			a.Roles = append(a.Roles, p)
		}
		return err
	})
}

// parseLease reads leasepb.Lease, whose ID is also its key.
func parseLease(k, v []byte) (l Lease, err error) {
	err = Fields(v, func(field protowire.Number, num uint64, _ []byte) error {
		switch field {
		case 1:
			l.ID = int64(num)
		case 2:
			l.TTL = int64(num)
		}
		return nil
	})
	if err == nil && (len(k) != 8 || binary.BigEndian.Uint64(k) != uint64(l.ID)) {
		err = fmt.Errorf("it is of lease %x", uint64(l.ID))
	}
	return l, err
}

// parseAlarm reads etcdserverpb.AlarmMember, which is all key and no value.
func parseAlarm(k []byte) (a Alarm, err error) {
	return a, Fields(k, func(field protowire.Number, num uint64, _ []byte) error {
		switch field {
		case 1:
			a.Member = num
		case 2:
			a.Kind = num
		}
		return nil
	})
}

func parsePeer(k, v []byte) (Peer, error) {
	var m struct {
		ID       uint64
		Name     string
		PeerURLs []string
		Learner  bool `json:"isLearner"`
	}
	if err := json.Unmarshal(v, &m); err != nil {
		return Peer{}, fmt.Errorf("it is not JSON of a member: %w", err)
	}
	if id, err := strconv.ParseUint(string(k), 16, 64); err != nil || id != m.ID {
		return Peer{}, fmt.Errorf("it is of member %x", m.ID)
	}
	return Peer{ID: m.ID, Name: m.Name, PeerURLs: m.PeerURLs, Learner: m.Learner}, nil
}

// parsePrincipal reads authpb.User or authpb.Role, whose name is also its key.
func parsePrincipal(k, v []byte, user bool) (Principal, error) {
	p := Principal{Digest: Hash(v)}
	err := Fields(v, func(field protowire.Number, _ uint64, data []byte) error {
		switch {
		case field == 1:
			p.Name = string(data)
		case field == 3 && user:
			p.Roles = append(p.Roles, string(data))
		}
		return nil
	})
	if err == nil && p.Name != string(k) {
		err = fmt.Errorf("it is of %q", p.Name)
	}
	slices.Sort(p.Roles)
	return p, err
}
