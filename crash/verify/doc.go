// Package verify owns the checkers. It reads a run directory and nothing else,
// works offline, and gives the same bytes again for the same directory.
package verify
