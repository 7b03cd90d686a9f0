// Package failpoint owns the client of gofail's HTTP endpoint, through which
// the failpoints of a running etcd are listed, armed and disarmed.
package failpoint

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Point is one failpoint; Terms is "" while it is not armed.
type Point struct {
	Name  string
	Terms string // gofail's, such as panic("x") or 1*off->sleep("1s")
}

// Client speaks to one etcd.
type Client struct {
	base string
	http *http.Client
}

// maxAnswer bounds an answer; a binary's whole list is some KiB.
const maxAnswer = 1 << 20

// New makes a client of the endpoint at base, such as http://198.18.5.11:22381.
func New(base string) *Client {
	return &Client{base: strings.TrimRight(base, "/"), http: &http.Client{
		Timeout: 3 * time.Second,
		// A member that lost power leaves connections that never end; none is
		// kept to run into that.
		Transport: &http.Transport{DisableKeepAlives: true},
	}}
}

// List gives every failpoint of the binary, by name.
func (c *Client) List(ctx context.Context) ([]Point, error) {
	body, err := c.do(ctx, http.MethodGet, "", "")
	if err != nil {
		return nil, fmt.Errorf("list failpoints: %w", err)
	}
	return parse(body), nil
}

// parse reads gofail's list: a line "name=terms" a point.
func parse(body string) []Point {
	var points []Point
	s := bufio.NewScanner(strings.NewReader(body))
	s.Buffer(nil, maxAnswer)
	for s.Scan() {
		name, terms, _ := strings.Cut(s.Text(), "=")
		if name != "" {
			points = append(points, Point{name, terms})
		}
	}
	return points
}

// Set arms a point.
func (c *Client) Set(ctx context.Context, point, terms string) error {
	_, err := c.do(ctx, http.MethodPut, point, terms)
	if err == nil {
		return nil
	}
	return c.explain(ctx, fmt.Errorf("arm failpoint %s with %s: %w", point, terms, err), point)
}

// Count is how often a point was reached since it was armed, 0 where it is not.
// Arming is not reaching.
func (c *Client) Count(ctx context.Context, point string) (int, error) {
	body, err := c.do(ctx, http.MethodGet, point+"/count", "")
	if err == nil {
		var n int
		if n, err = strconv.Atoi(strings.TrimSpace(body)); err == nil {
			return n, nil
		}
	}
	return 0, fmt.Errorf("ask how often failpoint %s was reached: %w", point, err)
}

// Clear disarms a point; one that is not armed is left as it is.
func (c *Client) Clear(ctx context.Context, point string) error {
	_, err := c.do(ctx, http.MethodDelete, point, "")
	if err == nil {
		return nil
	}
	points, listErr := c.List(ctx)
	if listErr == nil {
		for _, p := range points {
			if p.Name == point && p.Terms == "" {
				return nil
			}
		}
	}
	return c.explain(ctx, fmt.Errorf("disarm failpoint %s: %w", point, err), point)
}

// RefusedError is gofail's refusal, such as of terms that it cannot read.
type RefusedError struct{ Answer string }

func (e *RefusedError) Error() string { return "gofail answered " + e.Answer }

// UnknownError says that the binary has no such point.
type UnknownError struct {
	Point   string
	Similar []string
}

func (e *UnknownError) Error() string {
	s := fmt.Sprintf("this etcd has no failpoint %q", e.Point)
	if len(e.Similar) > 0 {
		s += "; did you mean " + strings.Join(e.Similar, ", ") + "?"
	}
	return s + " (`etcdlab failpoints NAME` lists them)"
}

// explain tells an unknown point from terms that gofail does not take.
func (c *Client) explain(ctx context.Context, err error, point string) error {
	points, listErr := c.List(ctx)
	if listErr != nil {
		return err
	}
	if unknown := Find(points, point); unknown != nil {
		return unknown
	}
	return err
}

// Find says that a point is not among those listed, as an *UnknownError.
func Find(points []Point, point string) error {
	unknown := &UnknownError{Point: point}
	for _, p := range points {
		if p.Name == point {
			return nil
		}
		if strings.Contains(strings.ToLower(p.Name), strings.ToLower(point)) || strings.HasSuffix(point, p.Name) {
			unknown.Similar = append(unknown.Similar, p.Name)
		}
	}
	return unknown
}

func (c *Client) do(ctx context.Context, method, point, body string) (string, error) {
	// gofail takes the path as it comes, so only what a URL cannot hold is escaped.
	path := (&url.URL{Path: "/" + point}).EscapedPath()
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, strings.NewReader(body))
	if err != nil {
		return "", err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return "", err
	}
	if resp.StatusCode/100 != 2 {
		return "", &RefusedError{resp.Status + ": " + strings.TrimSpace(string(answer))}
	}
	return string(answer), nil
}
