package charts

import (
	"encoding/base64"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// eachRendering runs a check on what each of the values files renders to.
func eachRendering(t *testing.T, check func(t *testing.T, all *objects)) {
	for _, values := range valuesFiles(t) {
		t.Run(filepath.Base(values), func(t *testing.T) {
			all := render(t, values)
			if len(all.sets) != 1 || len(all.sets[0].Spec.Template.Spec.Containers) != 1 {
				t.Fatal("not one StatefulSet of one container")
			}
			check(t, all)
		})
	}
}

func (all *objects) podSpec() *corev1.PodSpec       { return &all.sets[0].Spec.Template.Spec }
func (all *objects) container() *corev1.Container   { return &all.podSpec().Containers[0] }
func (all *objects) variable(name string) string    { return variableOf(all.container().Env, name) }
func rendered(t *testing.T, values string) *objects { return render(t, "values/"+values+".yaml") }

func variableOf(environment []corev1.EnvVar, name string) string {
	for _, variable := range environment {
		if variable.Name == name {
			return variable.Value
		}
	}
	return ""
}

func contains(labels, wanted map[string]string) bool {
	for name, value := range wanted {
		if labels[name] != value {
			return false
		}
	}
	return len(wanted) > 0
}

func (all *objects) portNamed(t *testing.T, name string) int32 {
	t.Helper()
	for _, port := range all.container().Ports {
		if port.Name == name {
			return port.ContainerPort
		}
	}
	t.Fatalf("no port %s", name)
	return 0
}

// portOf gives the port behind the last colon of a variable that holds an address.
func (all *objects) portOf(t *testing.T, name string) int32 {
	t.Helper()
	address := all.variable(name)
	port, err := strconv.ParseInt(address[strings.LastIndex(address, ":")+1:], 10, 32)
	if err != nil {
		t.Fatalf("%s=%q has no port", name, address)
	}
	return int32(port)
}

func TestThereIsOnePodAndItsMendedTemplateReplacesABrokenOne(t *testing.T) {
	eachRendering(t, func(t *testing.T, all *objects) {
		set := all.sets[0].Spec
		if *set.Replicas > 1 {
			t.Errorf("%d replicas", *set.Replicas)
		}
		if set.PodManagementPolicy != "Parallel" || set.UpdateStrategy.Type != "RollingUpdate" {
			t.Errorf("%s, %s", set.PodManagementPolicy, set.UpdateStrategy.Type)
		}
		if len(set.VolumeClaimTemplates) != 0 {
			t.Error("the disk is to be thrown away")
		}
		if !contains(set.Template.Labels, set.Selector.MatchLabels) {
			t.Error("the selector does not find the pod")
		}
	})
	if *rendered(t, "minimal").sets[0].Spec.Replicas != 1 {
		t.Error("not one replica by default")
	}
}

func TestProbesAskTheRightQuestionsAtTheFrontPort(t *testing.T) {
	eachRendering(t, func(t *testing.T, all *objects) {
		container := all.container()
		for _, probe := range []struct {
			name, path string
			probe      *corev1.Probe
		}{
			// A restore may take as long as it takes: only readiness waits for it.
			{"startup", "/_holdfast/live", container.StartupProbe},
			{"liveness", "/_holdfast/live", container.LivenessProbe},
			{"readiness", "/_holdfast/ready", container.ReadinessProbe},
		} {
			if probe.probe == nil || probe.probe.HTTPGet == nil {
				t.Fatalf("no %s probe over HTTP", probe.name)
			}
			if get := probe.probe.HTTPGet; get.Path != probe.path || get.Port != intstr.FromString("front") {
				t.Errorf("the %s probe asks %s at %s", probe.name, get.Path, get.Port.String())
			}
		}
		if all.portNamed(t, "front") != all.portOf(t, "HOLDFAST_LISTEN") {
			t.Error("the front port is not where holdfast listens")
		}
	})
}

func TestTheGraceIsLongerThanTheShutdown(t *testing.T) {
	eachRendering(t, func(t *testing.T, all *objects) {
		shutdown := durationOf(t, all.variable("HOLDFAST_SHUTDOWN_TIMEOUT"))
		grace := all.podSpec().TerminationGracePeriodSeconds
		if grace == nil || float64(*grace) <= shutdown.Seconds() {
			t.Errorf("grace %v, shutdown %v", grace, shutdown)
		}
	})
	for shutdown, grace := range map[string]int64{
		"25s": 35, "90500ms": 101, "999ms": 11, "1000ms": 11, "1001ms": 12, "2m": 130, "1h": 3610,
	} {
		got := render(t, "values/minimal.yaml", "--set", "shutdownTimeout="+shutdown).podSpec().TerminationGracePeriodSeconds
		if *got != grace {
			t.Errorf("shutdownTimeout %s gives a grace of %d, not %d", shutdown, *got, grace)
		}
	}
}

func TestNoTokenIsMountedAndNothingIsPrivileged(t *testing.T) {
	eachRendering(t, func(t *testing.T, all *objects) {
		specs := []*corev1.PodSpec{all.podSpec(), &all.pods[0].Spec}
		for _, spec := range specs {
			if spec.AutomountServiceAccountToken == nil || *spec.AutomountServiceAccountToken {
				t.Error("a token is mounted")
			}
			if spec.EnableServiceLinks == nil || *spec.EnableServiceLinks {
				t.Error("the names of Services become HOLDFAST_* variables")
			}
		}
		for _, account := range all.accounts {
			if account.AutomountServiceAccountToken == nil || *account.AutomountServiceAccountToken {
				t.Error("the service account mounts its token")
			}
			if account.Name != all.podSpec().ServiceAccountName {
				t.Errorf("the pod has %s, not %s", all.podSpec().ServiceAccountName, account.Name)
			}
		}
		context := all.container().SecurityContext
		if context.AllowPrivilegeEscalation == nil || *context.AllowPrivilegeEscalation ||
			!slices.Contains(context.Capabilities.Drop, "ALL") {
			t.Errorf("privileges: %v", context)
		}
	})
}

func TestTheRootIsReadOnlyAndEveryFolderThatIsWrittenToIsAVolume(t *testing.T) {
	all := rendered(t, "minimal")
	if !*all.container().SecurityContext.ReadOnlyRootFilesystem || !*all.podSpec().SecurityContext.RunAsNonRoot ||
		*all.podSpec().SecurityContext.RunAsUser == 0 {
		t.Error("the root is writable or the user is root")
	}
	eachRendering(t, func(t *testing.T, all *objects) {
		for _, folder := range []string{all.variable("HOLDFAST_DATA_DIR"), "/tmp"} {
			if volume := all.volumeAt(folder); volume == nil || volume.EmptyDir == nil {
				t.Errorf("%s is no emptyDir", folder)
			}
		}
	})
}

func (all *objects) volumeAt(folder string) *corev1.Volume {
	for _, mount := range all.container().VolumeMounts {
		for at := range all.podSpec().Volumes {
			if mount.MountPath == folder && all.podSpec().Volumes[at].Name == mount.Name {
				return &all.podSpec().Volumes[at]
			}
		}
	}
	return nil
}

func TestCredentialsAreInTheSecretOnly(t *testing.T) {
	all := rendered(t, "everything")
	outside := all.text
	if len(all.secrets) != 1 {
		t.Fatalf("%d Secrets", len(all.secrets))
	}
	for key, value := range map[string]string{
		"access-key-id": "plain-access-key-id", "secret-access-key": "plain-secret-access-key",
		"session-token": "plain-session-token",
	} {
		if string(all.secrets[0].Data[key]) != value {
			t.Errorf("%s is %q", key, all.secrets[0].Data[key])
		}
		encoded := base64.StdEncoding.EncodeToString([]byte(value))
		if strings.Contains(outside, value) || strings.Count(outside, encoded) != 1 {
			t.Errorf("%s is somewhere else too", key)
		}
	}
	if !strings.Contains(outside, "checksum/store:") {
		t.Error("a new key would not restart the pod")
	}
}

func TestCredentialsReachHoldfastAsFilesAndNeverAsValues(t *testing.T) {
	eachRendering(t, func(t *testing.T, all *objects) {
		for _, variable := range all.container().Env {
			if isSecret(variable.Name) && variable.Value != "" {
				t.Errorf("%s has a value", variable.Name)
			}
		}
		if strings.HasPrefix(all.variable("HOLDFAST_STORE"), "file:") {
			if all.variable("HOLDFAST_S3_ACCESS_KEY_ID_FILE") != "" || all.volumeAt("/etc/holdfast/store") != nil {
				t.Error("credentials for a directory")
			}
			return
		}
		for _, name := range []string{"HOLDFAST_S3_ACCESS_KEY_ID_FILE", "HOLDFAST_S3_SECRET_ACCESS_KEY_FILE"} {
			if !all.isMounted(all.variable(name)) {
				t.Errorf("%s=%s is mounted by nobody", name, all.variable(name))
			}
		}
		if session := all.variable("HOLDFAST_S3_SESSION_TOKEN_FILE"); session != "" && !all.isMounted(session) {
			t.Errorf("%s is mounted by nobody", session)
		}
	})
}

// isMounted is true for a file that a volume brings: for a Secret one of its items.
func (all *objects) isMounted(path string) bool {
	volume := all.volumeAt(filepath.Dir(path))
	if volume == nil || volume.Secret == nil {
		return volume != nil
	}
	return slices.ContainsFunc(volume.Secret.Items, func(item corev1.KeyToPath) bool {
		return item.Path == filepath.Base(path)
	})
}

func TestAnExistingSecretIsMountedWithItsOwnKeys(t *testing.T) {
	all := rendered(t, "existing-secret")
	if len(all.secrets) != 0 {
		t.Error("a Secret is made although there is one")
	}
	source := all.volumeAt("/etc/holdfast/store").Secret
	wanted := []corev1.KeyToPath{
		{Key: "AWS_ACCESS_KEY_ID", Path: "access-key-id"}, {Key: "AWS_SECRET_ACCESS_KEY", Path: "secret-access-key"},
		{Key: "AWS_SESSION_TOKEN", Path: "session-token"},
	}
	if source.SecretName != "minted" || !slices.Equal(source.Items, wanted) {
		t.Errorf("%s: %v", source.SecretName, source.Items)
	}
	if all.variable("HOLDFAST_S3_SESSION_TOKEN_FILE") != "/etc/holdfast/store/session-token" {
		t.Error("the session token is not used")
	}
	if got := rendered(t, "minimal").volumeAt("/etc/holdfast/store").Secret.Items; len(got) != 2 {
		t.Errorf("without a session token: %v", got)
	}
}

func TestADirectoryStoreIsOnItsVolume(t *testing.T) {
	volume := rendered(t, "file-store").volumeAt("/store")
	if volume == nil || volume.PersistentVolumeClaim == nil || volume.PersistentVolumeClaim.ClaimName != "app-store" {
		t.Errorf("%v", volume)
	}
}

func TestServicesLeadToThePod(t *testing.T) {
	eachRendering(t, func(t *testing.T, all *objects) {
		if len(all.services) != 2 {
			t.Fatalf("%d Services", len(all.services))
		}
		for _, service := range all.services {
			if !contains(all.sets[0].Spec.Template.Labels, service.Spec.Selector) {
				t.Errorf("%s selects other pods", service.Name)
			}
			for _, port := range service.Spec.Ports {
				all.portNamed(t, port.TargetPort.StrVal)
			}
		}
		pod := all.services[1]
		if pod.Spec.ClusterIP != "None" || !pod.Spec.PublishNotReadyAddresses || pod.Name != all.sets[0].Spec.ServiceName {
			t.Errorf("the Service of the pod: %v", pod.Spec)
		}
	})
}

func TestTheSitePortIsServedWhereItIsEnabled(t *testing.T) {
	eachRendering(t, func(t *testing.T, all *objects) {
		ports := fmt.Sprint(all.services[0].Spec.Ports)
		if all.variable("HOLDFAST_SITE_LISTEN") == "" {
			if strings.Contains(ports, "site") {
				t.Error("a site port although it is off")
			}
		} else if all.portNamed(t, "site") != all.portOf(t, "HOLDFAST_SITE_LISTEN") || !strings.Contains(ports, "site") {
			t.Error("the site port is not where holdfast listens")
		}
	})
	if rendered(t, "site-port").variable("HOLDFAST_SITE_PREFIX") != "/http" {
		t.Error("no prefix")
	}
}

func TestMetricsAreOnTheLoopbackUnlessTheyAreAskedFor(t *testing.T) {
	if got := rendered(t, "minimal"); got.variable("HOLDFAST_ADMIN_LISTEN") != "127.0.0.1:9321" || len(got.monitors) != 0 {
		t.Error("the admin port is open by default")
	}
	all := rendered(t, "everything")
	if all.variable("HOLDFAST_ADMIN_LISTEN") != "[::]:9321" || all.portNamed(t, "metrics") != 9321 {
		t.Error("the metrics can't be reached")
	}
	if strings.Contains(fmt.Sprint(all.services[0].Spec.Ports), "metrics") {
		t.Error("the metrics are on the public Service")
	}
	monitor := all.monitors[0].Spec
	if !contains(all.services[1].Labels, monitor.Selector.MatchLabels) ||
		contains(all.services[0].Labels, monitor.Selector.MatchLabels) {
		t.Errorf("the ServiceMonitor selects %v", monitor.Selector.MatchLabels)
	}
	if monitor.Endpoints[0].Port != "metrics" || monitor.Endpoints[0].Path != "/metrics" {
		t.Errorf("%v", monitor.Endpoints)
	}
}

func TestTheBudgetLetsNobodyEvictAServingPod(t *testing.T) {
	all := rendered(t, "everything")
	budget := all.budgets[0].Spec
	if budget.MaxUnavailable.IntValue() != 0 || *budget.UnhealthyPodEvictionPolicy != "AlwaysAllow" ||
		!contains(all.sets[0].Spec.Template.Labels, budget.Selector.MatchLabels) {
		t.Errorf("%v", budget)
	}
	if len(rendered(t, "minimal").budgets) != 0 {
		t.Error("a budget that nobody asked for")
	}
}

func TestTheNetworkPolicyOpensThePortsThatAreNamed(t *testing.T) {
	all := rendered(t, "everything")
	policy := all.policies[0].Spec
	if !contains(all.sets[0].Spec.Template.Labels, policy.PodSelector.MatchLabels) || len(policy.PolicyTypes) != 2 {
		t.Errorf("%v", policy)
	}
	for _, rule := range policy.Ingress {
		if len(rule.From) == 0 {
			t.Error("a port is open to everybody")
		}
		for _, port := range rule.Ports {
			all.portNamed(t, port.Port.StrVal)
		}
	}
	fromTest := policy.Ingress[0].From[1].PodSelector.MatchLabels
	if !contains(all.pods[0].Labels, fromTest) {
		t.Error("the pod of helm test is kept out")
	}
	open := render(t, "values/minimal.yaml", "--set", "networkPolicy.enabled=true").policies[0].Spec
	if len(open.Ingress) != 1 || len(open.Ingress[0].From) != 0 || len(open.PolicyTypes) != 1 {
		t.Errorf("%v", open)
	}
}

func TestHelmTestAsksForReadinessThroughTheService(t *testing.T) {
	eachRendering(t, func(t *testing.T, all *objects) {
		service := all.services[0]
		wanted := fmt.Sprintf("http://%s:%d/_holdfast/ready", service.Name, service.Spec.Ports[0].Port)
		command := all.pods[0].Spec.Containers[0].Command
		if all.pods[0].Annotations["helm.sh/hook"] != "test" || command[len(command)-1] != wanted {
			t.Errorf("%v", command)
		}
	})
}

func TestSettingsBecomeVariables(t *testing.T) {
	all := rendered(t, "everything")
	for name, value := range map[string]string{
		"HOLDFAST_S3_PATH_STYLE": "1", "HOLDFAST_SPOOL_MAX": "512MiB", "HOLDFAST_STOP_SIGNAL": "INT",
		"HOLDFAST_RESTORE_AT": "1234567", "HOLDFAST_PREDECESSOR": "alive", "CONVEX_CLOUD_ORIGIN": "https://convex.example",
	} {
		if all.variable(name) != value {
			t.Errorf("%s is %q", name, all.variable(name))
		}
	}
	if !strings.Contains(all.text, "name: HOLDFAST_EXCLUDE\n              value: \"\"") {
		t.Error("EXCLUDE can't be emptied")
	}
	if rendered(t, "minimal").variable("HOLDFAST_PREDECESSOR") != "gone" {
		t.Error("a start waits for a pod that is gone")
	}
}
