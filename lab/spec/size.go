package spec

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// units are the powers of two a size may be written in, largest first. Powers
// of ten are refused: a disk of 1GB that is really 0.93 GiB surprises people.
var units = []struct {
	suffix string
	bytes  Size
}{
	{"TiB", 1 << 40},
	{"GiB", 1 << 30},
	{"MiB", 1 << 20},
	{"KiB", 1 << 10},
}

// ParseSize reads a number of bytes: "1GiB", "512MiB", "64KiB" or "67108864".
func ParseSize(s string) (Size, error) {
	digits, factor := s, Size(1)
	for _, u := range units {
		if rest, ok := strings.CutSuffix(s, u.suffix); ok {
			digits, factor = rest, u.bytes
			break
		}
	}
	// ParseInt alone would take a sign.
	if digits == "" || strings.Trim(digits, "0123456789") != "" {
		return 0, fmt.Errorf("%q is not a size: write a whole number of bytes, or one with KiB, MiB, GiB or TiB, such as 512MiB", s)
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n > math.MaxInt64/int64(factor) {
		return 0, fmt.Errorf("size %s is more than can be addressed", s)
	}
	return Size(n) * factor, nil
}

// String is the shortest form that ParseSize reads back to the same number.
func (s Size) String() string {
	for _, u := range units {
		if s >= u.bytes && s%u.bytes == 0 {
			return strconv.FormatInt(int64(s/u.bytes), 10) + u.suffix
		}
	}
	return strconv.FormatInt(int64(s), 10)
}

// MarshalYAML writes the size as a person would.
func (s Size) MarshalYAML() (any, error) { return s.String(), nil }
