package lab

import (
	"math"
	"net/netip"
	"strings"
	"testing"
	"time"
)

func TestCheckNetRules(t *testing.T) {
	for _, r := range []NetRule{
		{Action: NetDrop},
		{Action: NetReset, Side: NetPeer, Direction: NetIn, Peers: []netip.Addr{netip.MustParseAddr("198.18.0.11")}},
		{Action: NetShape, Loss: 1, Delay: time.Second, Jitter: time.Second, Rate: 1 << 20},
	} {
		if err := CheckNetRules("x", []NetRule{r}); err != nil {
			t.Errorf("%+v: %v", r, err)
		}
	}
	for want, r := range map[string]NetRule{
		"side":                     {Action: NetDrop, Side: "left"},
		"direction":                {Action: NetDrop, Direction: "up"},
		"action":                   {},
		"has the action shape if":  {Action: NetShape},
		"only if, it says":         {Action: NetDrop, Loss: 0.5},
		"probabilities":            {Action: NetShape, Loss: 1.1},
		"are probabilities, 0":     {Action: NetShape, Reorder: math.NaN()},
		"delay and jitter must be": {Action: NetShape, Delay: -1},
		"and jitter must be 0 to":  {Action: NetShape, Delay: time.Hour},
		"jitter must not be more":  {Action: NetShape, Jitter: 1},
		"rate must be":             {Action: NetShape, Rate: 1},
		"no IPv4":                  {Action: NetDrop, Peers: []netip.Addr{{}}},
	} {
		if err := CheckNetRules("x", []NetRule{{Action: NetDrop}, r}); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "rule 2") {
			t.Errorf("%+v: %v, want %s", r, err, want)
		}
	}
	if CheckNetRules("", make([]NetRule, MaxNetRules+1)) == nil {
		t.Error("too many rules")
	}
	if CheckNetRules(strings.Repeat("x", 65), nil) == nil {
		t.Error("a name too long")
	}
}
