//go:build race

package walvfs

// lives of a disk that are tried: few under the race detector, which makes each
// ten times as dear and has nothing concurrent to look at.
const lives = 1
