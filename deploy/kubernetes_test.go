package deploy

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// The forms of the manifests, as far as they are used: a field that is
// misspelt or not looked at here fails the test.
type (
	meta struct {
		Name        string            `yaml:"name"`
		Labels      map[string]string `yaml:"labels"`
		Annotations map[string]string `yaml:"annotations"`
	}
	head struct {
		APIVersion string `yaml:"apiVersion"`
		Kind       string `yaml:"kind"`
		Metadata   meta   `yaml:"metadata"`
	}
	chosen struct {
		MatchLabels map[string]string `yaml:"matchLabels"`
	}
	deployment struct {
		head `yaml:",inline"`
		Spec struct {
			Replicas int `yaml:"replicas"`
			Strategy struct {
				Type string `yaml:"type"`
			} `yaml:"strategy"`
			Selector chosen `yaml:"selector"`
			Template struct {
				Metadata meta `yaml:"metadata"`
				Spec     pod  `yaml:"spec"`
			} `yaml:"template"`
		} `yaml:"spec"`
	}
	pod struct {
		TokenMounted *bool `yaml:"automountServiceAccountToken"`
		ServiceLinks *bool `yaml:"enableServiceLinks"`
		Grace        int   `yaml:"terminationGracePeriodSeconds"`
		Security     struct {
			NonRoot bool   `yaml:"runAsNonRoot"`
			User    int    `yaml:"runAsUser"`
			Group   int    `yaml:"runAsGroup"`
			FSGroup int    `yaml:"fsGroup"`
			Policy  string `yaml:"fsGroupChangePolicy"`
			Seccomp struct {
				Type string `yaml:"type"`
			} `yaml:"seccompProfile"`
		} `yaml:"securityContext"`
		Containers []container `yaml:"containers"`
		Volumes    []struct {
			Name  string `yaml:"name"`
			Claim struct {
				Name string `yaml:"claimName"`
			} `yaml:"persistentVolumeClaim"`
		} `yaml:"volumes"`
	}
	named struct {
		Name string `yaml:"name"`
	}
	container struct {
		Name, Image string
		Pull        string `yaml:"imagePullPolicy"`
		EnvFrom     []struct {
			ConfigMap *named `yaml:"configMapRef"`
			Secret    *named `yaml:"secretRef"`
		} `yaml:"envFrom"`
		Ports []struct {
			Name   string `yaml:"name"`
			Number int    `yaml:"containerPort"`
		} `yaml:"ports"`
		Startup   probe `yaml:"startupProbe"`
		Liveness  probe `yaml:"livenessProbe"`
		Readiness probe `yaml:"readinessProbe"`
		Resources struct {
			Requests, Limits map[string]string
		} `yaml:"resources"`
		Security struct {
			Escalation   *bool `yaml:"allowPrivilegeEscalation"`
			ReadOnlyRoot bool  `yaml:"readOnlyRootFilesystem"`
			Capabilities struct {
				Drop []string `yaml:"drop"`
			} `yaml:"capabilities"`
		} `yaml:"securityContext"`
		Mounts []struct {
			Name string `yaml:"name"`
			Path string `yaml:"mountPath"`
		} `yaml:"volumeMounts"`
	}
	probe struct {
		Get struct {
			Path string `yaml:"path"`
			Port string `yaml:"port"`
		} `yaml:"httpGet"`
		Period   int `yaml:"periodSeconds"`
		Timeout  int `yaml:"timeoutSeconds"`
		Failures int `yaml:"failureThreshold"`
	}
	port struct {
		Name       string `yaml:"name"`
		Protocol   string `yaml:"protocol"`
		Port       int    `yaml:"port"`
		TargetPort string `yaml:"targetPort"`
	}
	serviceOf struct {
		head `yaml:",inline"`
		Spec struct {
			Selector map[string]string `yaml:"selector"`
			Ports    []port            `yaml:"ports"`
		} `yaml:"spec"`
	}
	networkPolicy struct {
		head `yaml:",inline"`
		Spec struct {
			Pods    chosen   `yaml:"podSelector"`
			Types   []string `yaml:"policyTypes"`
			Ingress []struct {
				From  []peer `yaml:"from"`
				Ports []port `yaml:"ports"`
			} `yaml:"ingress"`
			Egress []struct {
				To    []peer `yaml:"to"`
				Ports []port `yaml:"ports"`
			} `yaml:"egress"`
		} `yaml:"spec"`
	}
	peer struct {
		Namespace chosen `yaml:"namespaceSelector"`
	}
	budget struct {
		head `yaml:",inline"`
		Spec struct {
			MaxUnavailable int    `yaml:"maxUnavailable"`
			Selector       chosen `yaml:"selector"`
		} `yaml:"spec"`
	}
	claim struct {
		head `yaml:",inline"`
		Spec struct {
			Modes     []string `yaml:"accessModes"`
			Resources struct {
				Requests map[string]string `yaml:"requests"`
			} `yaml:"resources"`
		} `yaml:"spec"`
	}
	monitor struct {
		head `yaml:",inline"`
		Spec struct {
			Selector  chosen `yaml:"selector"`
			JobLabel  string `yaml:"jobLabel"`
			Endpoints []struct {
				Port, Path, Interval string
			} `yaml:"endpoints"`
		} `yaml:"spec"`
	}
	values struct {
		head `yaml:",inline"`
		Type string            `yaml:"type"`
		Data map[string]string `yaml:"data"`
		Text map[string]string `yaml:"stringData"`
	}
)

// manifest reads one and checks what it says it is.
func manifest[T interface{ is() head }](t *testing.T, file, apiVersion, kind string) T {
	t.Helper()
	var m T
	read(t, filepath.Join("kubernetes", file), &m)
	if h := m.is(); h.APIVersion != apiVersion || h.Kind != kind || h.Metadata.Name != "ledgerhook" {
		t.Errorf("%s is %+v, want a %s of %s", file, h, kind, apiVersion)
	}
	return m
}

func (h head) is() head { return h }

func readDeployment(t *testing.T) deployment {
	t.Helper()
	d := manifest[deployment](t, "deployment.yaml", "apps/v1", "Deployment")
	if len(d.Spec.Template.Spec.Containers) != 1 {
		t.Fatalf("%d containers", len(d.Spec.Template.Spec.Containers))
	}
	return d
}

// TestPodMayDoNothingItNeedNot holds what the restricted pod security standard
// asks for, and what the image is made for.
func TestPodMayDoNothingItNeedNot(t *testing.T) {
	p := readDeployment(t).Spec.Template.Spec
	if s := p.Security; !s.NonRoot || s.User != 65532 || s.Group != 65532 || s.FSGroup != 65532 || s.Seccomp.Type != "RuntimeDefault" {
		t.Errorf("pod: %+v", s)
	}
	if s := p.Containers[0].Security; s.Escalation == nil || *s.Escalation || !s.ReadOnlyRoot || !slices.Equal(s.Capabilities.Drop, []string{"ALL"}) {
		t.Errorf("container: %+v", s)
	}
	if p.TokenMounted == nil || *p.TokenMounted {
		t.Error("the pod gets a token of the cluster's API")
	}
	// Links of a service named ledgerhook are LEDGERHOOK_ variables, and the
	// program refuses to start with unknown ones.
	if p.ServiceLinks == nil || *p.ServiceLinks {
		t.Error("service links are on")
	}
	r := p.Containers[0].Resources
	if r.Requests["cpu"] == "" || r.Requests["memory"] == "" || r.Limits["memory"] == "" {
		t.Errorf("resources: %+v", r)
	}
	var space head
	read(t, "kubernetes/namespace.yaml", &space)
	if space.Kind != "Namespace" || space.Metadata.Labels["pod-security.kubernetes.io/enforce"] != "restricted" {
		t.Errorf("namespace: %+v", space)
	}
}

// TestOneServiceHoldsTheInbox: two on one SQLite file would deliver twice the
// writers, and a lost volume loses acknowledged events.
func TestOneServiceHoldsTheInbox(t *testing.T) {
	d := readDeployment(t)
	p := d.Spec.Template.Spec
	if d.Spec.Replicas != 1 || d.Spec.Strategy.Type != "Recreate" {
		t.Errorf("%d replicas, strategy %s", d.Spec.Replicas, d.Spec.Strategy.Type)
	}
	if p.Grace < 40 {
		t.Errorf("%d s to stop, but deliveries in hand get 20, requests 10 and alerts 5", p.Grace)
	}
	c := manifest[claim](t, "volume.yaml", "v1", "PersistentVolumeClaim")
	if len(p.Volumes) != 1 || p.Volumes[0].Claim.Name != c.Metadata.Name || c.Spec.Resources.Requests["storage"] == "" || !slices.Equal(c.Spec.Modes, []string{"ReadWriteOncePod"}) {
		t.Errorf("volumes %+v of claim %+v", p.Volumes, c.Spec)
	}
	mounts := p.Containers[0].Mounts
	settings := manifest[values](t, "configmap.yaml", "v1", "ConfigMap").Data
	if len(mounts) != 1 || mounts[0].Name != p.Volumes[0].Name || settings["LEDGERHOOK_DATABASE_URL"] != "sqlite:"+mounts[0].Path+"/ledgerhook.db" {
		t.Errorf("the inbox is %s, mounted is %+v", settings["LEDGERHOOK_DATABASE_URL"], mounts)
	}
	b := manifest[budget](t, "poddisruptionbudget.yaml", "policy/v1", "PodDisruptionBudget")
	if b.Spec.MaxUnavailable != 1 {
		t.Error("no node could ever be drained")
	}
}

func TestProbesAskThePublicPort(t *testing.T) {
	c := readDeployment(t).Spec.Template.Spec.Containers[0]
	for name, want := range map[string]struct {
		probe probe
		path  string
	}{"startup": {c.Startup, "/healthz"}, "liveness": {c.Liveness, "/healthz"}, "readiness": {c.Readiness, "/readyz"}} {
		if want.probe.Get.Path != want.path || want.probe.Get.Port != "webhooks" || want.probe.Period == 0 {
			t.Errorf("%s: %+v", name, want.probe)
		}
	}
	if c.Startup.Failures*c.Startup.Period < 120 {
		t.Error("a long migration would be killed")
	}
}

func TestEverythingChoosesTheSamePod(t *testing.T) {
	d := readDeployment(t)
	pod := d.Spec.Template
	s := manifest[serviceOf](t, "service.yaml", "v1", "Service")
	n := manifest[networkPolicy](t, "networkpolicy.yaml", "networking.k8s.io/v1", "NetworkPolicy")
	b := manifest[budget](t, "poddisruptionbudget.yaml", "policy/v1", "PodDisruptionBudget")
	m := manifest[monitor](t, "servicemonitor.yaml", "monitoring.coreos.com/v1", "ServiceMonitor")
	for name, labels := range map[string]map[string]string{
		"deployment": d.Spec.Selector.MatchLabels, "service": s.Spec.Selector, "network policy": n.Spec.Pods.MatchLabels, "budget": b.Spec.Selector.MatchLabels,
	} {
		if len(labels) == 0 || !maps.Equal(labels, pod.Metadata.Labels) {
			t.Errorf("%s chooses %v, the pod is %v", name, labels, pod.Metadata.Labels)
		}
	}
	if !maps.Equal(m.Spec.Selector.MatchLabels, s.Metadata.Labels) || s.Metadata.Labels[m.Spec.JobLabel] != "ledgerhook" {
		t.Errorf("the monitor chooses %v and names its job %s", m.Spec.Selector.MatchLabels, s.Metadata.Labels[m.Spec.JobLabel])
	}
	ports := map[string]int{}
	for _, p := range pod.Spec.Containers[0].Ports {
		ports[p.Name] = p.Number
	}
	for _, p := range s.Spec.Ports {
		if ports[p.TargetPort] == 0 {
			t.Errorf("the service leads to port %s", p.TargetPort)
		}
	}
	if ports["webhooks"] != 8080 || ports["operator"] != 9090 || m.Spec.Endpoints[0].Port != "operator" || pod.Metadata.Annotations["prometheus.io/port"] != "9090" {
		t.Errorf("ports %v", ports)
	}
}

// TestNetworkIsClosedButForWhatIsNamed: the operator's port is open to the
// monitoring alone.
func TestNetworkIsClosedButForWhatIsNamed(t *testing.T) {
	n := manifest[networkPolicy](t, "networkpolicy.yaml", "networking.k8s.io/v1", "NetworkPolicy")
	if !slices.Equal(n.Spec.Types, []string{"Ingress", "Egress"}) || len(n.Spec.Ingress) != 2 {
		t.Fatalf("policy: %+v", n.Spec)
	}
	for i, want := range []int{8080, 9090} {
		in := n.Spec.Ingress[i]
		if len(in.From) != 1 || len(in.From[0].Namespace.MatchLabels) == 0 || len(in.Ports) != 1 || in.Ports[0].Port != want {
			t.Errorf("port %d: %+v", want, in)
		}
	}
	for _, out := range n.Spec.Egress {
		if len(out.Ports) == 0 {
			t.Error("every port is open outward")
		}
	}
}

func TestManifestsNameSettingsAndEachOther(t *testing.T) {
	c := readDeployment(t).Spec.Template.Spec.Containers[0]
	if c.EnvFrom[0].ConfigMap.Name != "ledgerhook" || c.EnvFrom[1].Secret.Name != "ledgerhook" {
		t.Errorf("settings come from %+v", c.EnvFrom)
	}
	settings := manifest[values](t, "configmap.yaml", "v1", "ConfigMap")
	secret := manifest[values](t, "secret.example.yaml", "v1", "Secret")
	for name, v := range secret.Text {
		if v != "" {
			t.Errorf("%s has a value in a file that is committed", name)
		}
	}
	wantSettings(t, slices.Concat(slices.Collect(maps.Keys(settings.Data)), slices.Collect(maps.Keys(secret.Text))))

	var k struct {
		APIVersion string `yaml:"apiVersion"`
		Kind       string `yaml:"kind"`
		Namespace  string `yaml:"namespace"`
		Labels     []struct {
			Pairs map[string]string `yaml:"pairs"`
		} `yaml:"labels"`
		Resources []string `yaml:"resources"`
		Images    []struct {
			Name    string `yaml:"name"`
			NewName string `yaml:"newName"`
			NewTag  string `yaml:"newTag"`
		} `yaml:"images"`
	}
	read(t, "kubernetes/kustomization.yaml", &k)
	for _, file := range k.Resources {
		if _, err := os.Stat(filepath.Join("kubernetes", file)); err != nil {
			t.Error(err)
		}
	}
	if len(k.Resources) < 7 || slices.Contains(k.Resources, "secret.example.yaml") || k.Namespace != "ledgerhook" || k.Images[0].Name != c.Image || k.Images[0].NewTag == "latest" {
		t.Errorf("kustomization: %+v", k)
	}
}
