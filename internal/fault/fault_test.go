package fault_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/ledgerhook/ledgerhook/internal/fault"
)

func TestKindNamesAreUniqueAndReadBack(t *testing.T) {
	seen := map[string]bool{}
	for k := fault.Internal; k <= fault.Sealed; k++ {
		name := k.String()
		if seen[name] {
			t.Errorf("two kinds are called %q", name)
		}
		seen[name] = true
		if got := fault.ParseKind(name); got != k {
			t.Errorf("ParseKind(%q) = %v", name, got)
		}
	}
	if got := fault.ParseKind("no such class"); got != fault.Internal {
		t.Errorf("an unknown class became %v", got)
	}
}

func TestKindOf(t *testing.T) {
	inner := fault.New(fault.Rejected, "inner", "no")
	tests := []struct {
		err  error
		want fault.Kind
	}{
		{errors.New("plain"), fault.Internal},
		{fmt.Errorf("wrapped: %w", inner), fault.Rejected},
		{&fault.Error{Kind: fault.Waiting, Err: inner}, fault.Waiting},
		{fmt.Errorf("x: %w", context.DeadlineExceeded), fault.Timeout},
		{context.Canceled, fault.Network},
	}
	for _, tt := range tests {
		if got := fault.KindOf(tt.err); got != tt.want {
			t.Errorf("KindOf(%v) = %v, want %v", tt.err, got, tt.want)
		}
	}
}

// A failure that moves money wrongly must never be tried again by itself.
func TestMoneyFaultsAreFinal(t *testing.T) {
	for _, k := range []fault.Kind{fault.Mismatch, fault.Forgery, fault.Rejected, fault.Unmapped, fault.Undecodable} {
		if k.Retry() != fault.Never {
			t.Errorf("%v is retried", k)
		}
	}
}

func TestErrorHidesDetail(t *testing.T) {
	err := &fault.Error{Kind: fault.Rejected, Op: "erpnext.create", Cause: "LinkValidationError", Hint: "hint", Detail: "Ann Lee not found"}
	if got, want := err.Error(), "erpnext.create: LinkValidationError"; got != want {
		t.Errorf("Error() = %q, want %q", got, want)
	}
}
