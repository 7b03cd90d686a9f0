package report

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/dustin/go-humanize"

	"github.com/etcdlab/etcdlab/crash/history"
)

// longest is where a text is cut: keys and values may be megabytes, and a
// person follows the operation's number from there.
const longest = 4096 // bytes

// printable makes any bytes safe to show: what is not printable text, control
// characters, terminal sequences and changes of writing direction among them,
// becomes an escape as in Go source. Line breaks stay.
func printable(s string) string {
	more := ""
	if len(s) > longest {
		end := longest
		for end > longest-utf8.UTFMax && !utf8.RuneStart(s[end]) {
			end--
		}
		more = fmt.Sprintf(" … (%s bytes more)", humanize.Comma(int64(len(s)-end)))
		s = s[:end]
	}
	var b strings.Builder
	for i, width := 0, 0; i < len(s); i += width {
		var r rune
		r, width = utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && width == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case r == '\n' || strconv.IsPrint(r):
			b.WriteRune(r)
		default:
			q := strconv.QuoteRune(r)
			b.WriteString(q[1 : len(q)-1])
		}
	}
	return b.String() + more
}

// line is printable on a single line, for terminals, attributes and tables.
func line(s string) string { return strings.ReplaceAll(printable(strings.TrimSpace(s)), "\n", " ⏎ ") }

func number[T int | int64](n T) string { return humanize.Comma(int64(n)) }

// rate is a number a second, without digits that mean nothing.
func rate(perSecond float64) string {
	if perSecond > 0 && perSecond < 100 {
		return strconv.FormatFloat(perSecond, 'f', 1, 64)
	}
	return humanize.Comma(int64(perSecond + 0.5))
}

// duration is written in the largest unit that keeps three digits.
func duration(ns int64) string {
	d := time.Duration(ns)
	switch {
	case d >= time.Minute:
		d = d.Round(time.Second)
		if d >= time.Hour {
			return fmt.Sprintf("%d h %02d min", d/time.Hour, d%time.Hour/time.Minute)
		}
		return fmt.Sprintf("%d min %02d s", d/time.Minute, d%time.Minute/time.Second)
	case d >= 10*time.Second:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d >= time.Second:
		return fmt.Sprintf("%.2f s", d.Seconds())
	case d >= 10*time.Millisecond:
		return fmt.Sprintf("%.0f ms", d.Seconds()*1e3)
	case d >= time.Millisecond:
		return fmt.Sprintf("%.1f ms", d.Seconds()*1e3)
	}
	return fmt.Sprintf("%.0f µs", d.Seconds()*1e6)
}

// instant is a time of the run, as seconds since it began.
func instant(t, start int64) string {
	return fmt.Sprintf("%.3f s", float64(t-start)/1e9)
}

// counted is "1 kill", "3 kills".
func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return number(n) + " " + many
}

// and joins with commas and a last "and".
func and(parts []string) string {
	if len(parts) < 2 {
		return strings.Join(parts, "")
	}
	return strings.Join(parts[:len(parts)-1], ", ") + " and " + parts[len(parts)-1]
}

// whom says who a fault was done to.
func whom(targets []string, run *history.Run) string {
	switch n := len(targets); {
	case n == 0:
		return ""
	case n == 1 && len(run.Members) == 1:
		return "the only member"
	case n == len(run.Members):
		return "all members"
	case run.Target == "leader", run.Target == "followers":
		return "the " + run.Target
	case run.Target == "quorum":
		return "a quorum"
	case n == 1:
		return "one member"
	default:
		return fmt.Sprintf("%d members", n)
	}
}
