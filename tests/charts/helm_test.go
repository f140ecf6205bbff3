// Package charts renders the chart with the real helm and holds what comes out against Kubernetes' own types and
// against what holdfast promises; the other examples of charts/examples/ too.
//
// check.sh builds helm and runs this. Nothing here speaks to a cluster.
package charts

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kjson "sigs.k8s.io/json"
	"sigs.k8s.io/yaml"
)

const (
	chartFolder = "../../charts/holdfast"
	release     = "rel"
)

// helm runs it with a home of its own and no cluster, and returns what it printed.
func helm(t *testing.T, arguments ...string) (stdout, stderr string, ok bool) {
	t.Helper()
	program := os.Getenv("HELM")
	if program == "" {
		t.Fatal("HELM is not set: run tests/charts/check.sh")
	}
	home := t.TempDir()
	command := exec.Command(program, arguments...)
	command.Env = []string{"HOME=" + home, "PATH=" + os.Getenv("PATH"), "KUBECONFIG=" + filepath.Join(home, "none")}
	var out, err bytes.Buffer
	command.Stdout, command.Stderr = &out, &err
	failure := command.Run()
	return out.String(), err.String(), failure == nil
}

// render gives the chart's objects for a values file and further --set arguments.
func render(t *testing.T, values string, arguments ...string) *objects {
	t.Helper()
	arguments = append([]string{"template", release, chartFolder, "--namespace", "space", "--values", values}, arguments...)
	stdout, stderr, ok := helm(t, arguments...)
	if !ok {
		t.Fatalf("helm template %s: %s", values, stderr)
	}
	rendered := &objects{text: stdout}
	for _, document := range strings.Split("\n"+stdout, "\n---") {
		if err := rendered.add(document); err != nil {
			t.Fatalf("%s: %v in\n%s", values, err, document)
		}
	}
	return rendered
}

// objects are all that a chart renders, by kind.
type objects struct {
	text     string
	sets     []appsv1.StatefulSet
	services []corev1.Service
	secrets  []corev1.Secret
	accounts []corev1.ServiceAccount
	budgets  []policyv1.PodDisruptionBudget
	policies []networkingv1.NetworkPolicy
	pods     []corev1.Pod
	monitors []serviceMonitor
}

// serviceMonitor is what the chart may use of monitoring.coreos.com/v1.
type serviceMonitor struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`
	Spec              struct {
		Selector  metav1.LabelSelector `json:"selector"`
		Endpoints []struct {
			Port          string `json:"port"`
			Path          string `json:"path"`
			Interval      string `json:"interval"`
			ScrapeTimeout string `json:"scrapeTimeout"`
		} `json:"endpoints"`
	} `json:"spec"`
}

func (all *objects) add(document string) error {
	var head metav1.TypeMeta
	if err := yaml.Unmarshal([]byte(document), &head); err != nil {
		return err
	}
	switch head.APIVersion + " " + head.Kind {
	case " ":
		return nil // only comments
	case "apps/v1 StatefulSet":
		return decodeInto(document, &all.sets)
	case "v1 Service":
		return decodeInto(document, &all.services)
	case "v1 Secret":
		return decodeInto(document, &all.secrets)
	case "v1 ServiceAccount":
		return decodeInto(document, &all.accounts)
	case "policy/v1 PodDisruptionBudget":
		return decodeInto(document, &all.budgets)
	case "networking.k8s.io/v1 NetworkPolicy":
		return decodeInto(document, &all.policies)
	case "v1 Pod":
		return decodeInto(document, &all.pods)
	case "monitoring.coreos.com/v1 ServiceMonitor":
		return decodeInto(document, &all.monitors)
	}
	return fmt.Errorf("nobody expects %s %s", head.APIVersion, head.Kind)
}

func decodeInto[T any](document string, list *[]T) error {
	var object T
	if err := decodeStrictly(document, &object); err != nil {
		return err
	}
	*list = append(*list, object)
	return nil
}

// decodeStrictly refuses unknown fields (in another case, too) and those given twice.
func decodeStrictly(document string, object any) error {
	json, err := yaml.YAMLToJSONStrict([]byte(document))
	if err != nil {
		return err
	}
	strict, err := kjson.UnmarshalStrict(json, object)
	if err == nil && len(strict) > 0 {
		err = strict[0]
	}
	return err
}

// valuesFiles are the good ones.
func valuesFiles(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("values/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no values to render: %v", err)
	}
	return files
}

func TestTheDecoderRefusesWhatKubernetesDoesNotKnow(t *testing.T) {
	for _, document := range []string{
		"{apiVersion: v1, kind: Pod, spec: {containers: [], restartpolicy: Never}}",
		"{apiVersion: v1, kind: Pod, spec: {replicas: 1}}",
		"{apiVersion: v1, kind: Pod, kind: Pod}",
		"{apiVersion: apps/v1, kind: StatefulSet, spec: {replicas: one}}",
	} {
		if err := new(objects).add(document); err == nil {
			t.Errorf("accepted: %s", document)
		}
	}
	if err := new(objects).add("{apiVersion: v1, kind: Pod, spec: {restartPolicy: Never}}"); err != nil {
		t.Error(err)
	}
}

func TestHelmLintsTheChartForEachValuesFile(t *testing.T) {
	for _, values := range valuesFiles(t) {
		stdout, stderr, ok := helm(t, "lint", "--strict", chartFolder, "--values", values)
		if !ok || strings.Contains(stderr, "Fail:") {
			t.Errorf("%s:\n%s%s", values, stdout, stderr)
		}
	}
}
