package agent

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/etcdlab/etcdlab/disk"
	"github.com/etcdlab/etcdlab/internal/zeros"
	"github.com/etcdlab/etcdlab/lab"
)

// Client speaks to the agent of one member. It has all capabilities of a Host;
// Lacks says which of them this member does not.
type Client struct {
	member string
	lacks  map[string]string
	http   *http.Client
}

// NewClient makes a client of the agent at that place. lacks has, for each
// capability that the member does not have, the reason, by the bare name of its
// interface. Nothing is dialled before the first request.
func NewClient(member string, at At, lacks map[string]string) *Client {
	return &Client{member: member, lacks: lacks, http: &http.Client{Transport: at.transport(member)}}
}

// Close drops idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Name is the member's.
func (c *Client) Name() string { return c.member }

// Lacks gives the reason why the member does not have a capability, or "".
func (c *Client) Lacks(capability string) string { return c.lacks[capability] }

// LacksOf are the reasons of an agent whose disk is of that kind, with that file
// system, for NewClient.
func LacksOf(kind, fs string) map[string]string {
	lacks := map[string]string{"Clocker": lab.NoClock} // but for a guest
	switch kind {
	case "plain":
		const reason = "its disk is plain, which cannot lose power or fail; use disk: {kind: fault}"
		for _, c := range []string{"PowerCutter", "DiskFaulter", "FileFaulter", "EventHolder"} {
			lacks[c] = reason
		}
		lacks["Filler"] = "its disk is plain: what fills it fills this machine; use disk: {kind: fault}"
		return lacks
	case "dm":
		const reason = "device mapper does not tell operations apart; use disk: {kind: fault}"
		lacks["FileFaulter"], lacks["EventHolder"] = reason, reason
	}
	if fs == "btrfs" {
		const reason = "btrfs does not tell where on its disk a file lies (FIEMAP gives addresses of its own); use fs: ext4 or xfs"
		lacks["FileFaulter"], lacks["EventHolder"] = cmp.Or(lacks["FileFaulter"], reason), cmp.Or(lacks["EventHolder"], reason)
	}
	return lacks
}

// call sends in (unless nil) and decodes the answer into out (unless nil).
func (c *Client) call(ctx context.Context, method, path string, in, out any) error {
	answer, err := c.open(ctx, method, path, in)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if out == nil {
		out = new(json.RawMessage)
	}
	if err := json.NewDecoder(answer.Body).Decode(out); err != nil && err != io.EOF {
		return fmt.Errorf("%s of the agent of %s: decode the answer: %w", path, c.member, err)
	}
	return nil
}

// open sends in (unless nil) and returns an answer that is no error.
func (c *Client) open(ctx context.Context, method, path string, in any) (*http.Response, error) {
	return c.openAs(ctx, method, path, in, "")
}

// openAs is open, with the connection upgraded to a protocol unless that is "".
func (c *Client) openAs(ctx context.Context, method, path string, in any, protocol string) (*http.Response, error) {
	var body io.Reader
	if in != nil {
		data, err := json.Marshal(in)
		if err != nil {
			return nil, fmt.Errorf("%s of the agent of %s: %w", path, c.member, err)
		}
		body = bytes.NewReader(data)
	}
	return c.openBody(ctx, method, path, body, protocol)
}

// openBody is openAs with a body of any form.
func (c *Client) openBody(ctx context.Context, method, path string, body io.Reader, protocol string) (*http.Response, error) {
	ctx, done := c.attend(ctx)
	request, err := http.NewRequestWithContext(ctx, method, "http://agent/v1/"+path, body)
	if err != nil {
		done()
		return nil, fmt.Errorf("%s of the agent of %s: %w", path, c.member, err)
	}
	want := http.StatusOK
	if protocol != "" {
		request.Header.Set("Connection", "Upgrade")
		request.Header.Set("Upgrade", protocol)
		want = http.StatusSwitchingProtocols
	}
	answer, err := c.http.Do(request)
	if err != nil {
		done()
		return nil, fmt.Errorf("%s: the agent of %s does not answer (etcdlab up starts it again): %w", path, c.member, cause(ctx, err))
	}
	answer.Body = attend(answer.Body, ctx, done)
	if answer.StatusCode == want {
		return answer, nil
	}
	defer answer.Body.Close()
	data, err := io.ReadAll(io.LimitReader(answer.Body, maxBody))
	var e Error
	if err != nil || json.Unmarshal(data, &e) != nil || e.Message == "" {
		return nil, fmt.Errorf("%s of the agent of %s: %s: %s", path, c.member, answer.Status, bytes.TrimSpace(data))
	}
	switch e.Kind {
	case kindUnmountable:
		u := &lab.UnmountableError{Member: c.member, Reason: e.Message}
		if e.Choice != nil {
			u.Choice = *e.Choice
		}
		return nil, u
	case kindUnsupported:
		if e.Capability == "" {
			e.Capability = path
		}
		return nil, &lab.UnsupportedError{Member: c.member, Capability: e.Capability, Reason: e.Message}
	}
	return nil, fmt.Errorf("%s of the agent of %s: %w", path, c.member, &e)
}

// Status asks the agent what it knows.
func (c *Client) Status(ctx context.Context) (s Status, err error) {
	return s, c.call(ctx, http.MethodGet, "status", nil, &s)
}

func (c *Client) Start(ctx context.Context) error { return c.call(ctx, "POST", "etcd/start", nil, nil) }
func (c *Client) Stop(ctx context.Context) error  { return c.call(ctx, "POST", "etcd/stop", nil, nil) }
func (c *Client) Kill(ctx context.Context) error  { return c.call(ctx, "POST", "etcd/kill", nil, nil) }

func (c *Client) Freeze(ctx context.Context, deadline time.Duration) (f lab.Frozen, err error) {
	return f, c.call(ctx, "POST", "freeze", freezeRequest{duration(deadline)}, &f)
}

func (c *Client) Thaw(ctx context.Context) error { return c.call(ctx, "POST", "thaw", nil, nil) }

func (c *Client) SetLink(ctx context.Context, up bool) error {
	return c.call(ctx, "POST", "link", linkRequest{&up}, nil)
}

func (c *Client) Hold(ctx context.Context, max time.Duration) (h lab.Held, err error) {
	return h, c.call(ctx, "POST", "disk/hold", holdRequest{duration(max)}, &h)
}

func (c *Client) Release(ctx context.Context) error {
	return c.call(ctx, "POST", "disk/release", nil, nil)
}

func (c *Client) Cut(ctx context.Context) (r disk.CutRecord, err error) {
	return r, c.call(ctx, "POST", "disk/cut", nil, &r)
}

func (c *Client) Restore(ctx context.Context, policy disk.Policy, seed uint64) (r lab.Restored, err error) {
	return r, c.call(ctx, "POST", "disk/restore", restoreRequest{policy, seed}, &r)
}

func (c *Client) CutLog(ctx context.Context, w io.Writer) error {
	answer, err := c.open(ctx, "GET", "disk/cutlog", nil)
	if err != nil {
		return err
	}
	return c.drain(answer, w, "cut log")
}

func (c *Client) SetDiskFaults(ctx context.Context, faults []disk.Fault) error {
	return c.call(ctx, "PUT", "disk/faults", faultsRequest{faults}, nil)
}

func (c *Client) DiskFaults(ctx context.Context) (f []disk.FaultState, err error) {
	return f, c.call(ctx, "GET", "disk/faults", nil, &f)
}

func (c *Client) SetDiskProfile(ctx context.Context, profile string) error {
	return c.call(ctx, "PUT", "disk/profile", profileRequest{profile}, nil)
}

func (c *Client) DiskStats(ctx context.Context) (s disk.Stats, err error) {
	return s, c.call(ctx, "GET", "disk/stats", nil, &s)
}

func (c *Client) Archive(ctx context.Context, w io.Writer) (how string, err error) {
	answer, err := c.open(ctx, "GET", "archive?zeros=true", nil)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	decodeErr := zeros.Copy(w, answer.Body)
	// What follows is nothing, or why it ended early.
	if err := c.drain(answer, io.Discard, "archive"); err != nil {
		return "", err
	}
	if decodeErr != nil {
		return "", fmt.Errorf("read the archive of %s: %w", c.member, decodeErr)
	}
	return answer.Trailer.Get(trailerHow), nil
}

// Shutdown ends etcd, unmounts and ends the agent.
func (c *Client) Shutdown(ctx context.Context, discard bool) error {
	return c.call(ctx, "POST", "shutdown", shutdownRequest{discard}, nil)
}

// drain copies a streamed answer, whose error, if any, comes after it.
func (c *Client) drain(answer *http.Response, w io.Writer, what string) error {
	defer answer.Body.Close()
	if _, err := io.Copy(w, answer.Body); err != nil {
		return fmt.Errorf("read the %s of %s: %w", what, c.member, err)
	}
	if late := strings.TrimSpace(answer.Trailer.Get(trailerError)); late != "" {
		return fmt.Errorf("read the %s of %s: %w", what, c.member, errors.New(late))
	}
	return nil
}

// Trailers of streamed answers.
const (
	trailerHow   = "Etcdlab-How"
	trailerError = "Etcdlab-Error"
)

var _ Host = (*Client)(nil)
