package sandbox

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Options say what a Site starts with.
type Options struct {
	Fixtures []byte           // a site as JSON; nil is a small demo company
	Version  int              // major version to behave like: 14, 15 (default) or 16
	Faults   []Fault          // how it fails, from ParseFaults
	Seed     uint64           // of faults and shuffled lists; 0 draws one, readable by Seed
	Now      func() time.Time // nil is time.Now
	Key      string           // with Secret: one more user, who has every role
	Secret   string
	// NginxMode answers paths with a trailing slash or .html as the usual proxy
	// in front of a site does, with a redirect.
	NginxMode bool
	// Data is a file that keeps what was committed, on top of the fixtures; "" is
	// none: the site then ends with the process.
	Data string
	// Hosts are the names the site answers to; nil is any.
	Hosts []string
}

// Site is one ERPNext site. It is safe for concurrent use: requests run one
// after another, as transactions on one database row would.
type Site struct {
	mu       sync.Mutex
	opts     Options
	types    map[string]*doctype
	tables   map[string]*table
	series   map[string]int64
	users    map[string]*user // by API key
	oauth    oauth
	perms    map[string]map[string]rights
	versions map[string]string
	host     string
	zone     *time.Location
	stamp    time.Time // the last timestamp given out; they are unique
	rand     *rand.Rand
	seed     uint64
	durable  *durable // nil = everything ends with the process

	busy atomic.Int64 // requests being served

	faultMu sync.Mutex
	dice    *rand.Rand // of the faults
	faults  []*activeFault
	log     []Request
	logNext int
}

// Request is one line of the site's memory of what it was asked.
type Request struct {
	Method  string
	Path    string
	DocType string
	Status  int
	At      time.Time
}

// loggedRequests bounds that memory.
const loggedRequests = 10000

// New makes a site and loads its fixtures. The error names the fixture that
// does not fit.
func New(opts Options) (*Site, error) {
	if opts.Version == 0 {
		opts.Version = 15
	}
	if !slices.Contains([]int{14, 15, 16}, opts.Version) {
		return nil, fmt.Errorf("sandbox: no such version: %d", opts.Version)
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Seed == 0 {
		opts.Seed = rand.Uint64()
	}
	types, err := parseDoctypes(doctypesText)
	if err != nil {
		return nil, fmt.Errorf("sandbox: %w", err)
	}
	s := &Site{
		opts: opts, types: types, tables: map[string]*table{}, series: map[string]int64{}, users: map[string]*user{},
		perms: defaultPermissions(), versions: map[string]string{}, zone: time.UTC, seed: opts.Seed,
		rand: rand.New(rand.NewPCG(opts.Seed, 0x5eed)), dice: rand.New(rand.NewPCG(opts.Seed, 0xd1ce)),
	}
	if err := s.load(opts.Fixtures); err != nil {
		return nil, fmt.Errorf("sandbox: fixtures: %w", err)
	}
	s.becomeVersion()
	if opts.Key != "" {
		s.users[opts.Key] = &user{name: "Administrator", key: opts.Key, secret: opts.Secret, enabled: true, all: true}
	}
	s.SetFaults(opts.Faults)
	if opts.Data != "" {
		if err := s.openDurable(opts.Data); err != nil {
			return nil, fmt.Errorf("sandbox: data: %w", err)
		}
	}
	return s, nil
}

// Now is the site's time, in its own zone: that decides which day it is there.
func (s *Site) Now() time.Time { return s.opts.Now().In(s.zone) }

// Seed is what faults and shuffled lists are drawn from.
func (s *Site) Seed() uint64 { return s.seed }

// Requests are the newest requests, oldest first. The memory is bounded.
func (s *Site) Requests() []Request {
	s.faultMu.Lock()
	defer s.faultMu.Unlock()
	if len(s.log) < loggedRequests {
		return slices.Clone(s.log)
	}
	return slices.Concat(s.log[s.logNext:], s.log[:s.logNext])
}

// ResetRequests forgets what was asked.
func (s *Site) ResetRequests() {
	s.faultMu.Lock()
	defer s.faultMu.Unlock()
	s.log, s.logNext = nil, 0
}

func (s *Site) remember(r Request) {
	s.faultMu.Lock()
	defer s.faultMu.Unlock()
	if len(s.log) < loggedRequests {
		s.log = append(s.log, r)
		return
	}
	s.log[s.logNext] = r
	s.logNext = (s.logNext + 1) % loggedRequests
}

// Busy is how many requests are being served, those among them whose clients
// have given up.
func (s *Site) Busy() int { return int(s.busy.Load()) }

// Documents are deep copies of every document of a DocType, in the order they
// were made.
func (s *Site) Documents(doctype string) []map[string]any {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []map[string]any
	for _, d := range s.all(doctype) {
		out = append(out, cloneDoc(d))
	}
	return out
}

// Insert puts a document straight into the store: no checks, no hooks. It is
// for tests that need a state the API would refuse.
func (s *Site) Insert(doctype string, document map[string]any) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	dt := s.types[doctype]
	if dt == nil {
		return fmt.Errorf("sandbox: no DocType %q", doctype)
	}
	d, _ := plain(document).(doc)
	s.seedDoc(dt, d)
	return nil
}

// SetSetting changes one field of a settings document, such as
// "System Settings", "rounding_method".
func (s *Site) SetSetting(doctype, field string, value any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.single(doctype)
	d[field] = plain(value)
	s.table(doctype).put(d)
}

// now is a timestamp no other document has.
func (s *Site) now() string {
	t := s.opts.Now().In(s.zone).Truncate(time.Microsecond)
	if !t.After(s.stamp) {
		t = s.stamp.Add(time.Microsecond)
	}
	s.stamp = t
	return t.Format("2006-01-02 15:04:05.000000")
}

func (s *Site) today() string { return s.opts.Now().In(s.zone).Format(time.DateOnly) }

// rowName is the random name of a child row.
func (s *Site) rowName() string {
	const letters = "abcdefghijklmnopqrstuvwxyz0123456789"
	name := make([]byte, 10)
	for i := range name {
		name[i] = letters[s.rand.IntN(len(letters))]
	}
	return string(name)
}
