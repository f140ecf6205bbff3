package charts

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/BurntSushi/toml"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const examplesFolder = "../../charts/examples/"

func readExample(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(examplesFolder + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// checkEnvironment holds for every example: variables that exist, a store, no secret in plain text, a shutdown that
// the grace leaves time for, and the port that the platform sends requests to.
func checkEnvironment(t *testing.T, environment map[string]string, grace time.Duration, port string) {
	t.Helper()
	known := knownVariables(t)
	for name, value := range environment {
		if ours, found := strings.CutPrefix(name, "HOLDFAST_"); found && !exists(known, ours) {
			t.Errorf("%s is not known", name)
		}
		if isSecret(name) && value != "" {
			t.Errorf("%s is in plain text", name)
		}
	}
	if environment["HOLDFAST_STORE"] == "" {
		t.Error("no store")
	}
	if shutdown := durationOf(t, environment["HOLDFAST_SHUTDOWN_TIMEOUT"]); shutdown >= grace {
		t.Errorf("HOLDFAST_SHUTDOWN_TIMEOUT is %v, killed after %v", shutdown, grace)
	}
	if listen := environment["HOLDFAST_LISTEN"]; listen != "0.0.0.0:"+port {
		t.Errorf("it listens at %s, requests go to %s", listen, port)
	}
}

type composeFile struct {
	Services map[string]struct {
		Image           string            `json:"image"`
		StopGracePeriod string            `json:"stop_grace_period"`
		StopSignal      string            `json:"stop_signal"`
		Restart         string            `json:"restart"`
		ReadOnly        bool              `json:"read_only"`
		Tmpfs           []string          `json:"tmpfs"`
		Volumes         []composeVolume   `json:"volumes"`
		Environment     map[string]string `json:"environment"`
		Secrets         []string          `json:"secrets"`
		Ports           []string          `json:"ports"`
		SecurityOpt     []string          `json:"security_opt"`
		Healthcheck     struct {
			Test          []string `json:"test"`
			Interval      string   `json:"interval"`
			Timeout       string   `json:"timeout"`
			StartPeriod   string   `json:"start_period"`
			StartInterval string   `json:"start_interval"`
		} `json:"healthcheck"`
	} `json:"services"`
	Secrets map[string]struct {
		File string `json:"file"`
	} `json:"secrets"`
}

type composeVolume struct {
	Type   string `json:"type"`
	Target string `json:"target"`
}

func TestTheComposeFileLeavesTimeForTheFlush(t *testing.T) {
	var file composeFile
	if err := decodeStrictly(readExample(t, "compose.yaml"), &file); err != nil {
		t.Fatal(err)
	}
	service, found := file.Services["backend"]
	if !found || len(file.Services) != 1 {
		t.Fatalf("not one service: %v", file.Services)
	}
	checkEnvironment(t, service.Environment, durationOf(t, service.StopGracePeriod), "3210")
	if service.StopSignal != "SIGTERM" {
		t.Errorf("stopped with %s", service.StopSignal)
	}
	if test := strings.Join(service.Healthcheck.Test, " "); !strings.HasSuffix(test, ":3210/_holdfast/ready") {
		t.Errorf("health: %s", test)
	}
	for _, secret := range service.Secrets {
		variable := "HOLDFAST_S3_" + strings.ToUpper(strings.ReplaceAll(secret, "-", "_")) + "_FILE"
		if service.Environment[variable] != "/run/secrets/"+secret || file.Secrets[secret].File == "" {
			t.Errorf("the secret %s does not reach %s", secret, variable)
		}
	}
	if len(service.Secrets) != 2 {
		t.Errorf("%d secrets", len(service.Secrets))
	}
	for _, port := range service.Ports {
		if !strings.HasPrefix(port, "127.0.0.1:") {
			t.Errorf("%s is open to the world", port)
		}
	}
}

type flyFile struct {
	App           string `toml:"app"`
	PrimaryRegion string `toml:"primary_region"`
	KillSignal    string `toml:"kill_signal"`
	KillTimeout   string `toml:"kill_timeout"`
	Build         struct {
		Image string `toml:"image"`
	} `toml:"build"`
	Env    map[string]string `toml:"env"`
	Deploy struct {
		Strategy string `toml:"strategy"`
	} `toml:"deploy"`
	HTTPService struct {
		InternalPort       int    `toml:"internal_port"`
		ForceHTTPS         bool   `toml:"force_https"`
		AutoStopMachines   string `toml:"auto_stop_machines"`
		AutoStartMachines  bool   `toml:"auto_start_machines"`
		MinMachinesRunning int    `toml:"min_machines_running"`
		Checks             []struct {
			Method      string `toml:"method"`
			Path        string `toml:"path"`
			Interval    string `toml:"interval"`
			Timeout     string `toml:"timeout"`
			GracePeriod string `toml:"grace_period"`
		} `toml:"checks"`
	} `toml:"http_service"`
	VM []struct {
		Size   string `toml:"size"`
		Memory string `toml:"memory"`
	} `toml:"vm"`
}

func TestTheFlyFileLeavesTimeForTheFlush(t *testing.T) {
	var file flyFile
	meta, err := toml.Decode(readExample(t, "fly.toml"), &file)
	if err != nil || len(meta.Undecoded()) > 0 {
		t.Fatalf("%v, unknown: %v", err, meta.Undecoded())
	}
	grace := durationOf(t, file.KillTimeout)
	checkEnvironment(t, file.Env, grace, "8080")
	if grace > 300*time.Second || file.KillSignal != "SIGTERM" || file.HTTPService.InternalPort != 8080 {
		t.Errorf("%s after %s, port %d", file.KillSignal, file.KillTimeout, file.HTTPService.InternalPort)
	}
	if len(file.HTTPService.Checks) != 1 || file.HTTPService.Checks[0].Path != "/_holdfast/ready" {
		t.Errorf("%v", file.HTTPService.Checks)
	}
	if file.HTTPService.AutoStopMachines == "suspend" || file.Deploy.Strategy == "bluegreen" {
		t.Error("two Machines, or one that is frozen")
	}
}

type cloudRunService struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              struct {
		Template struct {
			metav1.ObjectMeta `json:"metadata"`
			Spec              struct {
				ContainerConcurrency int                `json:"containerConcurrency"`
				TimeoutSeconds       int                `json:"timeoutSeconds"`
				Containers           []corev1.Container `json:"containers"`
			} `json:"spec"`
		} `json:"template"`
	} `json:"spec"`
}

func TestTheCloudRunServiceFitsIntoTenSecondsAndKeepsItsProcessor(t *testing.T) {
	var service cloudRunService
	if err := decodeStrictly(readExample(t, "cloudrun.yaml"), &service); err != nil {
		t.Fatal(err)
	}
	if service.APIVersion != "serving.knative.dev/v1" || service.Kind != "Service" {
		t.Errorf("%v", service.TypeMeta)
	}
	wanted := map[string]string{
		"autoscaling.knative.dev/maxScale": "1", "run.googleapis.com/cpu-throttling": "false",
		"run.googleapis.com/execution-environment": "gen2",
	}
	if !contains(service.Spec.Template.Annotations, wanted) {
		t.Errorf("%v", service.Spec.Template.Annotations)
	}
	container := service.Spec.Template.Spec.Containers[0]
	environment := map[string]string{}
	for _, variable := range container.Env {
		environment[variable.Name] = variable.Value
		if isSecret(variable.Name) && (variable.ValueFrom == nil || variable.ValueFrom.SecretKeyRef == nil) {
			t.Errorf("%s comes from no secret", variable.Name)
		}
	}
	checkEnvironment(t, environment, 10*time.Second, "8080")
	if _, reserved := environment["PORT"]; reserved || container.Ports[0].ContainerPort != 8080 {
		t.Error("PORT is Cloud Run's to set, to the container port")
	}
	for name, probe := range map[string]*corev1.Probe{"startup": container.StartupProbe, "liveness": container.LivenessProbe} {
		if probe == nil || probe.HTTPGet.Path != "/_holdfast/live" || probe.HTTPGet.Port.IntValue() != 8080 {
			t.Errorf("the %s probe: %v", name, probe)
		}
	}
	if container.StartupProbe.PeriodSeconds*container.StartupProbe.FailureThreshold > 240 {
		t.Error("Cloud Run allows 240 s for a start")
	}
}
