package app_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/app"
	"github.com/ledgerhook/ledgerhook/internal/config"
	"github.com/ledgerhook/ledgerhook/internal/erpnext/sandbox"
	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/handlers"
)

// tell posts to the operator's listener and decodes the answer.
func (s *service) tell(t testing.TB, path, body string, into any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+s.OperatorAddr()+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode > 299 {
		t.Fatalf("POST %s = %d %s, %v", path, resp.StatusCode, answer, err)
	}
	if into == nil {
		return
	}
	if err := json.Unmarshal(answer, into); err != nil {
		t.Fatalf("%v: %s", err, answer)
	}
}

// learn gets from the operator's listener.
func learn[T any](t testing.TB, s *service, path string) T {
	t.Helper()
	var v T
	answer := s.operator(t, path)
	if err := json.Unmarshal([]byte(answer), &v); err != nil {
		t.Fatalf("%v: %s", err, answer)
	}
	return v
}

// tool opens the inbox as a command does, beside the running service.
func (s *service) tool(t testing.TB, cfg config.Config, out io.Writer) *app.InboxTool {
	t.Helper()
	in, err := app.OpenInboxTool(t.Context(), cfg, out, true)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = in.Close() })
	return in
}

// unpaid sends charges in a currency that the site cannot book: dead letters.
func (s *service) unpaid(t testing.TB, ids ...string) {
	t.Helper()
	for _, id := range ids {
		s.sample(t, "stripe", "charge.succeeded", "", `"usd"`, `"eur"`, "evt_", "evt_"+id, "ch_", "ch_"+id, "pi_", "pi_"+id)
	}
	s.settle(t)
}

// TestAttemptsTellTheirCalls looks at an event as an operator does: what was
// asked of ERPNext and what it said, and nothing of the customer.
func TestAttemptsTellTheirCalls(t *testing.T) {
	faults, err := sandbox.ParseFaults("kind=deadlock-500,doctype=Sales Order,method=POST,count=1")
	if err != nil {
		t.Fatal(err)
	}
	s := startService(t, sandbox.Options{Faults: faults}, nil)
	s.sample(t, "shopify", "orders/create", "order")
	s.settle(t)
	v := learn[handlers.EventView](t, s, "/api/v1/events/"+event.NewID("shopify", "order"))
	if len(v.History) != 2 {
		t.Fatalf("%d attempts, want the refused one and the good one", len(v.History))
	}
	var said []string
	for _, a := range v.History {
		for _, c := range a.Calls {
			said = append(said, strings.TrimSpace(c.Op+" "+c.Class))
			if c.Status == 0 || c.StartedAt.IsZero() {
				t.Errorf("call %+v has no status or time", c)
			}
		}
	}
	got := strings.Join(said, "\n")
	for _, want := range []string{"erpnext.create Customer\n", "erpnext.create Sales Order contention\n", "erpnext.create Sales Order\n", "erpnext.submit Sales Order"} {
		if !strings.Contains(got, want) {
			t.Errorf("the calls lack %q:\n%s", want, got)
		}
	}
	history, err := json.Marshal(v.History)
	if err != nil {
		t.Fatal(err)
	}
	text := string(history)
	if !strings.Contains(text, `10.83`) || !strings.Contains(text, `shopify/shopify/order/5551234567890`) {
		t.Errorf("amounts or keys are missing: %s", text)
	}
	if !slices.ContainsFunc(v.History[0].Calls, func(c handlers.CallView) bool { return c.Response == `{"exc_type":"QueryDeadlockError"}` }) {
		t.Errorf("what refused is not there: %+v", v.History[0].Calls)
	}
	submitted := v.History[1].Calls
	if r := submitted[len(submitted)-1].Response; !strings.Contains(r, `"docstatus":1`) || !strings.Contains(r, `"grand_total":`) {
		t.Errorf("the submit was answered %s", r)
	}
	for _, canary := range []string{"Byron", "ada.byron", "Analytical", "Portland", "555 0100", "demo-secret"} {
		if strings.Contains(text, canary) {
			t.Errorf("the attempts hold %q: %s", canary, text)
		}
	}
}

// TestAPoisonedEventBlocksItsOwnSubjectUntilSkipped lets an order fail for an
// hour: other orders pass, its own later event waits until it is dismissed.
func TestAPoisonedEventBlocksItsOwnSubjectUntilSkipped(t *testing.T) {
	faults, err := sandbox.ParseFaults("kind=403,doctype=Sales Order,method=POST,count=1")
	if err != nil {
		t.Fatal(err)
	}
	s := startService(t, sandbox.Options{Faults: faults}, nil)
	s.sample(t, "shopify", "orders/create", "poisoned")
	s.until(t, "never refused", func() bool { return s.event(t, "shopify", "poisoned").Class == "rights" })
	s.sample(t, "shopify", "orders/create", "later")
	s.sample(t, "shopify", "orders/create", "neighbour", "5551234567890", "5551234567899", "#1001", "#1099")
	s.until(t, "the neighbour is blocked", func() bool { return s.event(t, "shopify", "neighbour").State == event.Done })
	if ev := s.event(t, "shopify", "later"); ev.State != event.Pending || ev.Attempts != 0 {
		t.Errorf("the later event of the subject is %s after %d attempts", ev.State, ev.Attempts)
	}
	id := event.NewID("shopify", "poisoned")
	s.tell(t, "/api/v1/events/"+id+"/dismiss", `{"reason":"booked by hand"}`, nil)
	s.until(t, "the subject is not free", func() bool { return s.event(t, "shopify", "later").State == event.Done })
	deeds := learn[struct{ Audit []handlers.DeedView }](t, s, "/api/v1/audit?target="+id).Audit
	if len(deeds) != 1 || deeds[0].Action != "dismiss" || deeds[0].Note != "booked by hand" || deeds[0].By.Address != "127.0.0.1" {
		t.Errorf("audit %+v", deeds)
	}
}

// TestPauseHoldsASourceWithoutAttempts pauses, sends, restarts and resumes.
func TestPauseHoldsASourceWithoutAttempts(t *testing.T) {
	var path string
	s := startService(t, sandbox.Options{}, func(c *config.Config) { path = c.DatabasePath })
	s.tell(t, "/api/v1/pause", `{"source":"shopify","reason":"new accounts"}`, nil)
	s.sample(t, "shopify", "orders/create", "held")
	s.flowing(t)
	metrics := s.operator(t, "/metrics")
	for _, want := range []string{`ledgerhook_paused{source="shopify"} 1`, `ledgerhook_paused{source="stripe"} 0`, `ledgerhook_paused{source="all"} 0`} {
		if !strings.Contains(metrics, want) {
			t.Errorf("metrics lack %s", want)
		}
	}
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	again := startService(t, sandbox.Options{}, func(c *config.Config) { c.DatabasePath = path })
	status := learn[handlers.StatusView](t, again, "/api/v1/status")
	if len(status.Paused) != 1 || status.Paused[0].Source != "shopify" || status.Paused[0].Reason != "new accounts" || status.Events[event.Pending] != 1 {
		t.Errorf("after the restart %+v", status)
	}
	again.flowing(t)
	if ev := again.event(t, "shopify", "held"); ev.State != event.Pending || ev.Attempts != 0 {
		t.Errorf("the held event is %s after %d attempts", ev.State, ev.Attempts)
	}
	again.tell(t, "/api/v1/resume", `{"source":"shopify"}`, nil)
	again.settle(t)
	if ev := again.event(t, "shopify", "held"); ev.State != event.Done || ev.Attempts != 1 {
		t.Errorf("the held event is %s after %d attempts", ev.State, ev.Attempts)
	}
}

// flowing proves that another source flows: its event dies at once.
func (s *service) flowing(t testing.TB) {
	t.Helper()
	before := s.count(t, event.Dead)
	s.sample(t, "stripe", "charge.succeeded", "", `"usd"`, `"eur"`, "evt_", "evt_"+time.Now().Format("150405.000000"))
	s.until(t, "the other source is held", func() bool { return s.count(t, event.Dead) == before+1 })
}

func (s *service) count(t testing.TB, state event.State) int64 {
	t.Helper()
	stats, err := s.Inbox().Stats(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return stats.ByState[state]
}

// TestReplayOfEverythingOfOneCause goes the operator's way: problem, plan,
// start, progress, audit.
func TestReplayOfEverythingOfOneCause(t *testing.T) {
	s := startService(t, sandbox.Options{}, nil)
	s.unpaid(t, "a", "b", "c")
	problems := learn[struct{ Problems []handlers.ProblemView }](t, s, "/api/v1/problems").Problems
	if len(problems) != 1 || problems[0].Count != 3 || problems[0].Class != "unmapped" || problems[0].Sources[0] != "stripe" || problems[0].Hint == "" {
		t.Fatalf("problems %+v, want one of three", problems)
	}
	var run handlers.RunView
	s.tell(t, "/api/v1/replays", `{"filter":{"group":"`+problems[0].ID+`"},"rate":1000}`, &run)
	if run.Total != 3 || run.State != event.RunPlanned || len(run.Plan) != 1 || s.count(t, event.Dead) != 3 {
		t.Fatalf("planned %+v", run)
	}
	s.tell(t, "/api/v1/replays/"+run.ID+"/start", "", nil)
	s.until(t, "the run does not end", func() bool {
		return learn[handlers.RunView](t, s, "/api/v1/replays/"+run.ID).State == event.RunDone
	})
	s.settle(t)
	events, _, err := s.Inbox().List(t.Context(), event.Filter{State: event.Dead})
	if err != nil || len(events) != 3 {
		t.Fatalf("%d events, %v", len(events), err)
	}
	for _, ev := range events {
		if ev.Attempts != 2 {
			t.Errorf("%s had %d attempts, want it tried again", ev.ID, ev.Attempts)
		}
	}
	metrics := s.operator(t, "/metrics")
	for _, want := range []string{`ledgerhook_replays_total{trigger="bulk"} 3`, `ledgerhook_replays_total{trigger="manual"} 0`, `ledgerhook_replays_total{trigger="auto"} 0`} {
		if !strings.Contains(metrics, want) {
			t.Errorf("metrics lack %s", want)
		}
	}
	var did []string
	for _, d := range learn[struct{ Audit []handlers.DeedView }](t, s, "/api/v1/audit?target="+run.ID).Audit {
		did = append(did, d.Action+" "+d.By.Via)
	}
	if got := strings.Join(did, ", "); got != "finish service, start api, plan api" {
		t.Errorf("audit: %s", got)
	}
}

// TestRefusedRequestsAreAcceptedOnceTheSecretIsRight starts with a wrong secret
// and mends it, as happens on the day of a rotation.
func TestRefusedRequestsAreAcceptedOnceTheSecretIsRight(t *testing.T) {
	s := startService(t, sandbox.Options{}, func(c *config.Config) {
		c.Shopify.Secrets, c.Stripe.Secrets = []config.Secret{"a wrong one"}, []config.Secret{"whsec_wrong"}
	})
	for source, topic := range map[string]string{"shopify": "orders/create", "stripe": "charge.succeeded"} {
		sample, err := app.SampleOf(source, topic, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if code, _ := s.send(t, source, topic, "order", sample.Body); code != 401 {
			t.Fatalf("%s was answered %d", source, code)
		}
	}
	type list struct{ Rejected []handlers.RejectionView }
	s.until(t, "nothing is kept", func() bool { return len(learn[list](t, s, "/api/v1/rejected").Rejected) == 2 })
	if strings.Contains(s.log.String(), "t=") || strings.Contains(s.operator(t, "/api/v1/rejected"), "Byron") {
		t.Error("a signature is in the log, or a body in the listing")
	}
	var still struct{ Verified []handlers.VerifiedView }
	s.tell(t, "/api/v1/rejected/verify", "", &still)
	for _, v := range still.Verified {
		if v.Status != "refused" || v.Class != "bad_signature" {
			t.Errorf("with the wrong secret still: %+v", v)
		}
	}
	if len(still.Verified) != 2 || s.count(t, event.Pending)+s.count(t, event.Done) != 0 {
		t.Errorf("verified %+v", still)
	}

	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	mended := startService(t, sandbox.Options{}, func(c *config.Config) {
		c.DatabasePath, c.Shopify.Secrets = s.cfg.DatabasePath, []config.Secret{"a wrong one", shopifySecret}
	})
	var good struct{ Verified []handlers.VerifiedView }
	mended.tell(t, "/api/v1/rejected/verify", `{"source":"shopify"}`, &good)
	if len(good.Verified) != 1 || good.Verified[0].Status != "accepted" || good.Verified[0].Event != event.NewID("shopify", "order") {
		t.Errorf("verified %+v, want the one of shopify accepted", good.Verified)
	}
	var out bytes.Buffer
	if err := mended.tool(t, mended.cfg, &out).VerifyRejected(t.Context(), mended.cfg, "", ""); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(out.String(), `"status": "accepted"`); n != 1 {
		t.Errorf("the command accepted %d, want the other one: %s", n, out.String())
	}
	s = mended
	s.until(t, "the order is not delivered", func() bool { return s.event(t, "shopify", "order").State == event.Done })
	if ev := s.event(t, "shopify", "order"); ev.SecretSlot != "1" || time.Since(ev.ReceivedAt) > time.Minute {
		t.Errorf("the event is %+v", ev)
	}
	if orders := s.documents("Sales Order", ""); len(orders) != 1 {
		t.Errorf("%d orders", len(orders))
	}
	if left := learn[list](t, s, "/api/v1/rejected").Rejected; len(left) != 0 {
		t.Errorf("left %+v", left)
	}
	deeds := learn[struct{ Audit []handlers.DeedView }](t, s, "/api/v1/audit").Audit
	if len(deeds) != 2 || deeds[0].Action != "accept" {
		t.Errorf("audit %+v", deeds)
	}
}

// TestDryRunShowsTheDifference compares an order that was changed in the shop
// with what is in ERPNext, and one that is not there with nothing.
func TestDryRunShowsTheDifference(t *testing.T) {
	s := startService(t, sandbox.Options{}, nil)
	s.sample(t, "shopify", "orders/create", "first")
	s.settle(t)
	s.tell(t, "/api/v1/pause", "", nil)
	s.sample(t, "shopify", "orders/create", "changed", "24.00", "25.00", "68.63", "69.63", "61.50", "62.50", "56.50", "57.50")
	s.sample(t, "shopify", "orders/create", "new", "5551234567890", "5551234567899", "#1001", "#1099")
	before := len(s.documents("Sales Order", ""))
	for id, check := range map[string]func(t *testing.T, v app.DryRunView){
		"first": func(t *testing.T, v app.DryRunView) {
			if so := v.Documents[1]; so.Exists == "" || !so.Same || so.Body != nil || len(so.Diff) != 0 {
				t.Errorf("the order that is there: %+v", so)
			}
		},
		"changed": func(t *testing.T, v app.DryRunView) {
			got := map[string][2]any{}
			for _, d := range v.Documents[1].Diff {
				got[d.Field] = [2]any{d.Is, d.Want}
			}
			if len(got) != 2 || got["grand_total"] != [2]any{68.63, 69.63} || got["items[3].rate"] != [2]any{24.0, 25.0} || v.Documents[1].Same {
				t.Errorf("the difference is %v, want rate and total", got)
			}
		},
		"new": func(t *testing.T, v app.DryRunView) {
			if so := v.Documents[1]; so.Exists != "" || so.Body == nil || so.Diff != nil || so.Same {
				t.Errorf("the order that is not there: %+v", so)
			}
			if customer := v.Documents[0]; customer.Exists != "Ada Byron" || customer.Diff != nil {
				t.Errorf("the customer: %+v", customer)
			}
		},
	} {
		t.Run(id, func(t *testing.T) {
			var out bytes.Buffer
			if err := s.tool(t, s.cfg, &out).DryRun(t.Context(), s.cfg, event.NewID("shopify", id)); err != nil {
				t.Fatal(err)
			}
			var v app.DryRunView
			if err := json.Unmarshal(out.Bytes(), &v); err != nil || len(v.Documents) != 2 {
				t.Fatalf("%v: %s", err, out.String())
			}
			check(t, v)
		})
	}
	if n := len(s.documents("Sales Order", "")); n != before {
		t.Errorf("a dry run made %d orders", n-before)
	}
}

// TestReplayUsesTodaysSheet: an order dies of a mistake in the mapping sheet;
// the sheet is mended, the service is started again, the event is replayed, and
// the order is there once.
func TestReplayUsesTodaysSheet(t *testing.T) {
	site, url := newSite(t, sandbox.Options{})
	s := startService(t, sandbox.Options{}, func(c *config.Config) {
		c.ERPNext.URL = url
		c.Sheet.Accounts.Tax = "No Such Account - LC"
	})
	s.sample(t, "shopify", "orders/create", "order")
	s.settle(t)
	ev := s.event(t, "shopify", "order")
	if ev.State != event.Dead || !strings.Contains(ev.Reason+ev.Hint, "account") {
		t.Fatalf("with the mistake it is %s: %s; %s", ev.State, ev.Reason, ev.Hint)
	}
	if orders := site.Documents("Sales Order"); len(orders) != 0 {
		t.Fatalf("%d orders came of the mistake", len(orders))
	}
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}

	mended := startService(t, sandbox.Options{}, func(c *config.Config) { c.ERPNext.URL, c.DatabasePath = url, s.cfg.DatabasePath })
	mended.tell(t, "/api/v1/events/"+ev.ID+"/replay", "", nil)
	mended.settle(t)
	if ev := mended.event(t, "shopify", "order"); ev.State != event.Done {
		t.Fatalf("after the replay it is %s: %s; %s", ev.State, ev.Reason, ev.Hint)
	}
	orders := site.Documents("Sales Order")
	if len(orders) != 1 || orders[0]["custom_ledgerhook_key"] != "shopify/shopify/order/5551234567890" || fmt.Sprint(orders[0]["docstatus"]) != "1" {
		t.Errorf("%d orders: %v", len(orders), orders)
	}
	mended.tell(t, "/api/v1/events/"+ev.ID+"/replay", "", nil) // once more does no harm
	mended.settle(t)
	if orders := site.Documents("Sales Order"); len(orders) != 1 {
		t.Errorf("a second replay made %d orders of it", len(orders))
	}
}
