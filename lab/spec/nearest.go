package spec

import (
	"fmt"
	"slices"
	"strings"
)

// DidYouMean is `, did you mean "X"?` for the nearest of the valid words, or
// the list of them when none is near.
func DidYouMean(word string, valid []string) string {
	best, distance := "", 64
	for _, v := range valid {
		// A third of a word may be wrong: "zfs" is near xfs, "ntfs" is not.
		d := editDistance(strings.ToLower(word), strings.ToLower(v))
		if d <= max(1, len(v)/3) && d < distance {
			best, distance = v, d
		}
	}
	if best != "" {
		return fmt.Sprintf(", did you mean %q?", best)
	}
	return "; it is one of " + strings.Join(valid, ", ")
}

// editDistance counts insertions, deletions, substitutions and swaps of
// neighbours (optimal string alignment). Words longer than any of ours are far.
func editDistance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return 64
	}
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			change := 1
			if a[i-1] == b[j-1] {
				change = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}

// oneOf is "" when word is valid, else what is wrong with it.
func oneOf(what, word string, valid []string) string {
	if slices.Contains(valid, word) {
		return ""
	}
	return fmt.Sprintf("unknown %s %q%s", what, word, DidYouMean(word, valid))
}
