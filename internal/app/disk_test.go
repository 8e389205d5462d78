package app

import (
	"testing"

	"github.com/ledgerhook/ledgerhook/internal/erpnext"
)

func TestDiskCheck(t *testing.T) {
	for free, want := range map[uint64]string{
		0: erpnext.Fail, failFree - 1: erpnext.Fail, failFree: erpnext.Warn, warnFree - 1: erpnext.Warn, warnFree: erpnext.OK, 1 << 50: erpnext.OK,
	} {
		if f := diskCheck(free); f.Status != want || (f.Fix == "") != (want == erpnext.OK) {
			t.Errorf("%d bytes: %+v", free, f)
		}
	}
	if free, known := freeSpace(t.TempDir()); known && free == 0 {
		t.Error("a folder that was just made has no space")
	}
}
