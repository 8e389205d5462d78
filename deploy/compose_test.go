package deploy

import (
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// compose is the whole of the file: what is not named here is not used.
type compose struct {
	Name     string              `yaml:"name"`
	Services map[string]service  `yaml:"services"`
	Volumes  map[string]struct{} `yaml:"volumes"`
	Secrets  map[string]struct {
		File string `yaml:"file"`
	} `yaml:"secrets"`
}

type service struct {
	Build *struct {
		Context string `yaml:"context"`
	} `yaml:"build"`
	Image       string            `yaml:"image"`
	Restart     string            `yaml:"restart"`
	Command     []string          `yaml:"command"`
	EnvFile     string            `yaml:"env_file"`
	Environment map[string]string `yaml:"environment"`
	Secrets     []string          `yaml:"secrets"`
	Ports       []string          `yaml:"ports"`
	Volumes     []string          `yaml:"volumes"`
	ReadOnly    bool              `yaml:"read_only"`
	CapDrop     []string          `yaml:"cap_drop"`
	SecurityOpt []string          `yaml:"security_opt"`
	StopGrace   string            `yaml:"stop_grace_period"`
}

func readCompose(t *testing.T) compose {
	t.Helper()
	var c compose
	read(t, "compose.yaml", &c)
	return c
}

var pinned = regexp.MustCompile(`^[a-z./-]+:v?\d+\.\d+\.\d+$`)

func TestComposeMountsWhatExists(t *testing.T) {
	c := readCompose(t)
	for _, name := range []string{"ledgerhook", "prometheus", "alertmanager", "grafana"} {
		if c.Services[name].Restart != "unless-stopped" {
			t.Errorf("no service %s, or it does not start again", name)
		}
	}
	for name, s := range c.Services {
		if s.Build == nil && !pinned.MatchString(s.Image) {
			t.Errorf("%s: the image %s is not pinned to a version", name, s.Image)
		}
		for _, v := range s.Volumes {
			from, _, _ := strings.Cut(v, ":")
			if _, named := c.Volumes[from]; named {
				continue
			}
			if _, err := os.Stat(from); err != nil || !strings.HasSuffix(v, ":ro") {
				t.Errorf("%s mounts %s: %v", name, v, err)
			}
		}
		for _, secret := range s.Secrets {
			if !strings.HasPrefix(c.Secrets[secret].File, "./secrets/") {
				t.Errorf("%s: the secret %s is not in the ignored folder", name, secret)
			}
		}
		for _, p := range s.Ports {
			if name != "ledgerhook" && !strings.HasPrefix(p, "127.0.0.1:") {
				t.Errorf("%s: port %s is open to everybody", name, p)
			}
		}
	}
	if ignored := text(t, "../.gitignore"); !strings.Contains(ignored, "/deploy/secrets/") || !strings.Contains(ignored, "/deploy/.env") {
		t.Error("secrets may be committed")
	}
}

func TestComposeHoldsTheServiceTight(t *testing.T) {
	s := readCompose(t).Services["ledgerhook"]
	if !s.ReadOnly || !slices.Equal(s.CapDrop, []string{"ALL"}) || !slices.Contains(s.SecurityOpt, "no-new-privileges:true") {
		t.Errorf("read only %v, dropped %v, options %v", s.ReadOnly, s.CapDrop, s.SecurityOpt)
	}
	if !slices.Equal(s.Ports, []string{"8080:8080"}) || s.StopGrace == "" {
		t.Errorf("ports %v, grace %q", s.Ports, s.StopGrace)
	}
}

func TestComposeNamesSettings(t *testing.T) {
	wantSettings(t, slices.Collect(maps.Keys(readCompose(t).Services["ledgerhook"].Environment)))
}

// TestMountedFilesNameEachOther follows the paths inside the containers.
func TestMountedFilesNameEachOther(t *testing.T) {
	c := readCompose(t)
	mounted := func(name, inside string) bool {
		return slices.ContainsFunc(c.Services[name].Volumes, func(v string) bool {
			parts := strings.Split(v, ":")
			rest, below := strings.CutPrefix(inside, parts[1])
			_, err := os.Stat(filepath.Join(parts[0], rest))
			return below && err == nil
		})
	}
	var prometheus struct {
		Global    map[string]string `yaml:"global"`
		RuleFiles []string          `yaml:"rule_files"`
		Alerting  struct {
			Alertmanagers []struct {
				Static []struct{ Targets []string } `yaml:"static_configs"`
			}
		}
		Scrape []struct {
			Job    string                       `yaml:"job_name"`
			Static []struct{ Targets []string } `yaml:"static_configs"`
		} `yaml:"scrape_configs"`
	}
	read(t, "prometheus/prometheus.yml", &prometheus)
	for _, file := range prometheus.RuleFiles {
		if !mounted("prometheus", path.Join("/etc/prometheus", file)) {
			t.Errorf("prometheus does not find %s", file)
		}
	}
	if len(prometheus.RuleFiles) == 0 || prometheus.Scrape[0].Job != "ledgerhook" || prometheus.Scrape[0].Static[0].Targets[0] != "ledgerhook:9090" ||
		prometheus.Alerting.Alertmanagers[0].Static[0].Targets[0] != "alertmanager:9093" {
		t.Errorf("prometheus: %+v", prometheus)
	}
	var provider struct {
		APIVersion int `yaml:"apiVersion"`
		Providers  []struct {
			Name, Type     string
			AllowUIUpdates bool              `yaml:"allowUiUpdates"`
			Options        map[string]string `yaml:"options"`
		}
	}
	read(t, "grafana/provisioning/dashboards/ledgerhook.yml", &provider)
	home := c.Services["grafana"].Environment["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
	if !mounted("grafana", provider.Providers[0].Options["path"]) || !mounted("grafana", home) {
		t.Errorf("grafana does not find %v or %s", provider.Providers, home)
	}
	for _, file := range regexp.MustCompile(`_file: /run/secrets/(\w+)`).FindAllStringSubmatch(text(t, "alertmanager/alertmanager.yml"), -1) {
		if !slices.Contains(c.Services["alertmanager"].Secrets, file[1]) {
			t.Errorf("alertmanager does not get the secret %s", file[1])
		}
	}
	if !mounted("alertmanager", "/etc/alertmanager/alertmanager.yml") {
		t.Error("alertmanager has no configuration")
	}
}
