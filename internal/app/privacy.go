package app

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/commerce"
	"github.com/ledgerhook/ledgerhook/internal/config"
	"github.com/ledgerhook/ledgerhook/internal/erpnext"
	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/fault"
	"github.com/ledgerhook/ledgerhook/internal/posting"
	"github.com/ledgerhook/ledgerhook/internal/privacy"
	"github.com/ledgerhook/ledgerhook/internal/store/sqlite"
	"github.com/ledgerhook/ledgerhook/internal/worker"
)

func newDesk(cfg config.Config, inbox *sqlite.DB) *privacy.Desk {
	return privacy.New(privacy.Options{
		Inbox: inbox, Dir: cmp.Or(cfg.PrivacyDir, filepath.Dir(cfg.DatabasePath)),
		Memory: posting.MemoryOfEmail, Customer: erpnext.DocCustomer,
		Keep: posting.Impersonal(),
	})
}

// unreadable is the failure of an event whose body waits for its key.
func unreadable(ev event.Event) error {
	return &fault.Error{
		Kind: fault.Sealed, Op: "app.deliver", Cause: "the stored body cannot be read: " + ev.Unreadable,
		Hint: "configure that key in LEDGERHOOK_BODY_KEYS again; the event is kept and tried again",
	}
}

// private acts on a shop's request about personal data. ERPNext is not asked.
func (d *deliverer) private(ctx context.Context, ev event.Event, p commerce.Privacy) (worker.Delivery, error) {
	if p.Kind == commerce.ShopUninstalled && d.hold != nil {
		// What is pending of the shop stays so: its tokens are void, and whoever
		// took the app away may not want it booked.
		if err := d.hold(ctx, ev.Source, "the shop uninstalled the app"); err != nil {
			return worker.Delivery{}, err
		}
	}
	a, err := d.desk.Handle(ctx, ev, p, d.otherShops(ev))
	return worker.Delivery{Note: a.Note, Warn: a.Tell, Erase: a.Erase, Offline: true}, err
}

// otherShops are the sources of the same kind as the event's: their customers
// are theirs, also under the same e-mail or number.
func (d *deliverer) otherShops(ev event.Event) map[string]bool {
	others := make(map[string]bool)
	for name, src := range d.sources {
		if name != ev.Source && src.Provider() == ev.Provider {
			others[name] = true
		}
	}
	return others
}

// PrivacyOptions say whom a request concerns, as given on the command line.
type PrivacyOptions struct {
	Email, Customer, Phone, Source string
	Orders                         []string
	Yes                            bool // erase; else only the counts are printed
}

func (o PrivacyOptions) person() (privacy.Person, error) {
	p := privacy.Person{Customer: o.Customer, Email: o.Email, Phone: o.Phone, Orders: o.Orders, Source: o.Source}
	if o.Email == "" && o.Customer == "" && o.Phone == "" && o.Source == "" && len(o.Orders) == 0 {
		return p, usagef("say whom: --email, --customer, --phone, --order, or --source for everything of it")
	}
	return p, nil
}

// FindPerson prints what the inbox holds of somebody, counted by source, topic
// and state.
func (t *InboxTool) FindPerson(ctx context.Context, cfg config.Config, o PrivacyOptions) error {
	p, err := o.person()
	if err != nil {
		return err
	}
	found, err := newDesk(cfg, t.inbox).Find(ctx, p)
	if err != nil {
		return withHint(err)
	}
	return t.counted(found, "")
}

// ExportPerson writes what the inbox holds of somebody into the folder of
// exports.
func (t *InboxTool) ExportPerson(ctx context.Context, cfg config.Config, o PrivacyOptions) error {
	p, err := o.person()
	if err != nil {
		return err
	}
	path, n, err := newDesk(cfg, t.inbox).Export(ctx, p, "export-"+time.Now().UTC().Format("20060102T150405.000000"), "")
	if err != nil {
		return withHint(err)
	}
	if t.json {
		return t.encode(map[string]any{"file": path, "events": n})
	}
	_, err = fmt.Fprintf(t.out, "%d events and refused requests written to %s\n", n, path)
	return err
}

// ErasePerson removes what the inbox holds of somebody; without Yes it prints
// what that would be.
func (t *InboxTool) ErasePerson(ctx context.Context, cfg config.Config, o PrivacyOptions) error {
	p, err := o.person()
	if err != nil {
		return err
	}
	desk := newDesk(cfg, t.inbox)
	if !o.Yes {
		found, err := desk.Find(ctx, p)
		if err != nil {
			return withHint(err)
		}
		return t.counted(found, "nothing was erased: add --yes to erase what these events hold")
	}
	n, err := desk.Erase(ctx, p, "")
	if err != nil {
		return withHint(err)
	}
	if err := t.erased(n); err != nil {
		return err
	}
	if n.InHand > 0 {
		return fmt.Errorf("%d events are being worked on: run it again in a few minutes", n.InHand)
	}
	return nil
}

func (t *InboxTool) erased(n event.Erased) error {
	if t.json {
		return t.encode(map[string]int{"erased": n.Events, "given_up": n.GaveUp, "in_hand": n.InHand, "rejected": n.Rejections})
	}
	_, err := fmt.Fprintf(t.out, "%d events erased, %d of them not booked yet and given up; %d refused requests dropped; ERPNext was not changed\n",
		n.Events, n.GaveUp, n.Rejections)
	return err
}

// group is what events are counted by.
type group struct {
	Source string      `json:"source"`
	Topic  string      `json:"topic"`
	State  event.State `json:"state"`
}

func (t *InboxTool) counted(found privacy.Found, note string) error {
	counts := make(map[group]int)
	for _, ev := range found.Events {
		counts[group{ev.Source, ev.Topic, ev.State}]++
	}
	groups := slices.SortedFunc(maps.Keys(counts), func(a, b group) int {
		return cmp.Or(cmp.Compare(a.Source, b.Source), cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.State, b.State))
	})
	if t.json {
		type line struct {
			group
			Count int `json:"count"`
		}
		lines := make([]line, 0, len(groups))
		for _, g := range groups {
			lines = append(lines, line{g, counts[g]})
		}
		return t.encode(map[string]any{"events": len(found.Events), "groups": lines, "ids": found.IDs(), "rejected": len(found.Rejections)})
	}
	w := tabwriter.NewWriter(t.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "EVENTS\tSOURCE\tTOPIC\tSTATE")
	for _, g := range groups {
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\n", counts[g], g.Source, g.Topic, g.State)
	}
	fmt.Fprintf(w, "%d\tin all\n", len(found.Events))
	if n := len(found.Rejections); n > 0 {
		fmt.Fprintf(w, "%d\trefused at the door\n", n)
	}
	if note != "" {
		fmt.Fprintln(w, note)
	}
	return w.Flush()
}

// Reencrypt brings everything stored under the first configured key, or makes
// it plain again, beside a running service.
func (t *InboxTool) Reencrypt(ctx context.Context, progress io.Writer, plain bool) error {
	n, err := t.inbox.Reseal(ctx, plain, func(done int) { fmt.Fprintf(progress, "%d rewritten\n", done) })
	if err != nil {
		return withHint(err)
	}
	if t.json {
		return t.encode(map[string]int{"rewritten": n})
	}
	_, err = fmt.Fprintf(t.out, "done: %d bodies, details and refused requests rewritten\n", n)
	return err
}
