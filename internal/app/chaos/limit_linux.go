package chaos

import "golang.org/x/sys/unix"

// limitFiles bounds how far into a file another process may write, and gives
// the bound it had. What is beyond is refused as a full disk refuses it.
func limitFiles(pid int, bytes uint64) (uint64, error) {
	var before unix.Rlimit
	if err := unix.Prlimit(pid, unix.RLIMIT_FSIZE, nil, &before); err != nil {
		return 0, err
	}
	return before.Cur, unix.Prlimit(pid, unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: bytes, Max: before.Max}, nil)
}
