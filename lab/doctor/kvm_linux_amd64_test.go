package doctor

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"
)

// What the guest does decides the answer, so a KVM that runs nothing cannot
// pass; a guest that never ends is killed.
func TestGuests(t *testing.T) {
	f, err := os.OpenFile("/dev/kvm", os.O_RDWR, 0)
	if err != nil {
		t.Skip(err)
	}
	f.Close()
	if found, err := tryGuest(t.Context(), guest); err != nil {
		t.Skipf("KVM does not work here: %s, %v", found, err)
	}
	for name, test := range map[string]struct{ code, err string }{
		"halts at once":     {"\xF4", "the guest left with reason 5, not 2"},
		"says another word": {"\xB0x\xE6\x10\xF4", "did not say what it should"},
		"never ends":        {"\xEB\xFE", "gave up after"},
	} {
		t.Run(name, func(t *testing.T) {
			limit := kvmLimit
			if name == "never ends" {
				limit = 300 * time.Millisecond
			}
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			found, err := tryGuest(ctx, test.code)
			if err == nil || !strings.Contains(err.Error(), test.err) {
				t.Errorf("found %q, %v", found, err)
			}
		})
	}
}
