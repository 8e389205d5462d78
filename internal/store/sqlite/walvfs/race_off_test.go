//go:build !race

package walvfs

const lives = 6
