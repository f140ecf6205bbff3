package charts

import (
	"os"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

// readmeCommands are the lines of the first block of commands, each as its words; the last ones of a line may be on the
// next.
func readmeCommands(t *testing.T) [][]string {
	t.Helper()
	readme, err := os.ReadFile(chartFolder + "/README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, block, _ := strings.Cut(string(readme), "```sh\n")
	block, _, _ = strings.Cut(block, "```")
	var commands [][]string
	for line := range strings.Lines(strings.ReplaceAll(block, "\\\n", " ")) {
		commands = append(commands, strings.Fields(line))
	}
	return commands
}

// Whoever follows the README has made a Secret whose keys the pod looks for, and a release that the third line tests.
func TestTheReadmesCommandsFitTogether(t *testing.T) {
	commands := readmeCommands(t)
	if len(commands) != 3 || commands[1][0] != "helm" || commands[1][1] != "install" {
		t.Fatalf("there are other commands: %v", commands)
	}
	secret, install, name := commands[0], commands[1], commands[1][2]
	stdout, stderr, ok := helm(t, append([]string{"template", name, chartFolder}, install[4:]...)...)
	if !ok {
		t.Fatal(stderr)
	}
	rendered := &objects{}
	for _, document := range strings.Split("\n"+stdout, "\n---") {
		if err := rendered.add(document); err != nil {
			t.Fatal(err)
		}
	}
	if install[3] != "charts/holdfast" || commands[2][2] != name || len(rendered.sets) != 1 {
		t.Errorf("%v, %v and %d StatefulSets", install, commands[2], len(rendered.sets))
	}
	for _, volume := range rendered.sets[0].Spec.Template.Spec.Volumes {
		if volume.Secret != nil {
			checkSecretCommand(t, secret, volume.Secret)
			return
		}
	}
	t.Error("the pod has no Secret")
}

func checkSecretCommand(t *testing.T, command []string, wanted *corev1.SecretVolumeSource) {
	t.Helper()
	if said := strings.Join(command[:5], " "); said != "kubectl create secret generic "+wanted.SecretName {
		t.Errorf("%s, and the pod has %s", said, wanted.SecretName)
	}
	for _, item := range wanted.Items {
		if !strings.Contains(strings.Join(command, " "), "--from-literal="+item.Key+"=") {
			t.Errorf("the pod looks for %s, which %v doesn't make", item.Key, command)
		}
	}
}
