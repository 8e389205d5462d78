package app

import (
	"net/url"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// version is set by the build: -ldflags "-X …/internal/app.version=1.2.3".
var version = "dev"

// Version is the program's version.
func Version() string { return version }

// Commit is the revision it was built from, or "unknown".
func Commit() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return s.Value
		}
	}
	return "unknown"
}

func registerBuild(reg prometheus.Registerer) {
	promauto.With(reg).NewGaugeVec(prometheus.GaugeOpts{
		Name: "ledgerhook_build_info", Help: "1, with what was built as labels.",
	}, []string{"version", "commit", "go"}).WithLabelValues(Version(), Commit(), runtime.Version()).Set(1)
}

// DeskURL makes links to documents in ERPNext's desk.
func DeskURL(site string) func(doctype, name string) string {
	return func(doctype, name string) string {
		slug := strings.ReplaceAll(strings.ToLower(doctype), " ", "-")
		return site + "/app/" + slug + "/" + url.PathEscape(name)
	}
}
