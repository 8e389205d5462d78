//go:build linux || darwin

package app

import "syscall"

// freeSpace is how many bytes the service's user may still write in a folder.
func freeSpace(folder string) (uint64, bool) {
	var st syscall.Statfs_t
	if syscall.Statfs(folder, &st) != nil {
		return 0, false
	}
	return st.Bavail * uint64(st.Bsize), true //nolint:gosec // a block's size is positive
}
