package rest_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/fault"
	"github.com/ledgerhook/ledgerhook/internal/source/rest"
)

// answer is a transport that gives one answer.
type answer func(*http.Request) (*http.Response, error)

func (a answer) RoundTrip(r *http.Request) (*http.Response, error) { return a(r) }

func status(code int, body, after string) answer {
	return func(*http.Request) (*http.Response, error) {
		h := http.Header{}
		if after != "" {
			h.Set("Retry-After", after)
		}
		return &http.Response{StatusCode: code, Header: h, Body: io.NopCloser(strings.NewReader(body))}, nil
	}
}

func do(t *testing.T, a answer) *fault.Error {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://api.test/v1/charges/ch_canary", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer sk_canary")
	_, failure := rest.New("Stripe", a).Do("stripe.charge", req)
	return failure
}

// TestEveryStatusIsClassed walks through all statuses but 2xx: none may pass,
// and each has its kind.
func TestEveryStatusIsClassed(t *testing.T) {
	for code := 300; code < 600; code++ {
		want := fault.BadRequest
		switch {
		case code == 401:
			want = fault.Credentials
		case code == 403:
			want = fault.Rights
		case code == 404:
			want = fault.Missing
		case code == 408:
			want = fault.Timeout
		case code == 429:
			want = fault.RateLimited
		case code == 409, code < 400, code >= 500:
			want = fault.Unavailable
		}
		f := do(t, status(code, `{"error":{"message":"no"}}`, ""))
		if f == nil || f.Kind != want || f.Op != "stripe.charge" {
			t.Errorf("%d became %v, want %s", code, f, want)
		}
	}
	if f := do(t, status(204, "", "")); f == nil {
		t.Error("an answer without a body passes")
	}
}

func TestAnswersThatAreNone(t *testing.T) {
	long := `{"a":"` + strings.Repeat("x", 2<<20) + `"}`
	for name, a := range map[string]answer{
		"HTML": status(200, "<html>", ""), "a list": status(200, "[]", ""), "too long": status(200, long, ""), "nothing": status(200, "", ""),
		"a name twice": status(200, `{"amount":1,"amount":2}`, ""),
	} {
		if f := do(t, a); f == nil || f.Kind != fault.Unavailable {
			t.Errorf("%s became %v", name, f)
		}
	}
	broken := func(err error) answer { return func(*http.Request) (*http.Response, error) { return nil, err } }
	for want, err := range map[fault.Kind]error{fault.Network: errors.New("refused"), fault.Timeout: context.DeadlineExceeded} {
		if f := do(t, broken(err)); f == nil || f.Kind != want || strings.Contains(f.Error(), "ch_canary") {
			t.Errorf("%v became %v", err, f)
		}
	}
}

func TestTheKeyIsInNoError(t *testing.T) {
	for _, code := range []int{401, 403, 500} {
		f := do(t, status(code, `{"error":{"message":"Invalid API Key provided: `+map[bool]string{true: "sk_canary", false: "x"}[code == 401]+`"}}`, ""))
		if text := f.Error() + f.Detail + f.Hint; strings.Contains(text, "canary") {
			t.Errorf("%d: %s", code, text)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	for text, want := range map[string]time.Duration{"7": 7 * time.Second, "-1": 0, "soon": 0, "999999": time.Hour} {
		if f := do(t, status(429, "", text)); f.RetryAfter != want {
			t.Errorf("%q became %v, want %v", text, f.RetryAfter, want)
		}
	}
	date := time.Now().Add(time.Minute).UTC().Format(http.TimeFormat)
	if f := do(t, status(503, "", date)); f.RetryAfter <= 0 || f.RetryAfter > time.Minute {
		t.Errorf("a date became %v", f.RetryAfter)
	}
}

func TestNoRedirectIsFollowed(t *testing.T) {
	asked := 0
	f := do(t, func(*http.Request) (*http.Response, error) {
		asked++
		return &http.Response{StatusCode: 302, Header: http.Header{"Location": {"https://evil.test/"}}, Body: http.NoBody}, nil
	})
	if asked != 1 || f == nil || f.Kind != fault.Unavailable {
		t.Errorf("asked %d times: %v", asked, f)
	}
}
