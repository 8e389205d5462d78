//go:build !linux

package chaos

import "errors"

// limitFiles needs a call that only Linux has.
func limitFiles(int, uint64) (uint64, error) {
	return 0, errors.New("a full disk can be made on Linux only")
}
