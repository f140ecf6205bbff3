package charts

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// notes renders NOTES.txt, which helm shows only after an installation: a copy of the chart has it as an object too.
func notes(t *testing.T, values string, arguments ...string) string {
	t.Helper()
	folder := filepath.Join(t.TempDir(), "holdfast")
	if err := os.CopyFS(folder, os.DirFS(chartFolder)); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(chartFolder + "/templates/NOTES.txt")
	if err != nil {
		t.Fatal(err)
	}
	shown := "{{ define \"notes\" }}" + string(text) + "{{ end }}\nkind: Notes\ntext: {{ include \"notes\" . | toJson }}\n"
	if err := os.WriteFile(folder+"/templates/notes.yaml", []byte(shown), 0o600); err != nil {
		t.Fatal(err)
	}
	arguments = append([]string{"template", release, folder, "--namespace", "space", "--values", "values/" + values + ".yaml",
		"--show-only", "templates/notes.yaml"}, arguments...)
	stdout, stderr, ok := helm(t, arguments...)
	var object struct {
		Kind, Text string
	}
	if !ok || yaml.Unmarshal([]byte(stdout), &object) != nil || object.Text == "" {
		t.Fatal(stdout + stderr)
	}
	return object.Text
}

func expectNotes(t *testing.T, text string, wanted ...string) {
	t.Helper()
	for _, words := range wanted {
		if !strings.Contains(text, words) {
			t.Errorf("the notes do not say %q:\n%s", words, text)
		}
	}
}

func TestTheNotesSayWhatHappenedAndWhatIsNext(t *testing.T) {
	expectNotes(t, notes(t, "minimal"), "rel-holdfast was installed", "s3://bucket/app", "helm test rel --namespace space",
		"kubectl --namespace space rollout status statefulset/rel-holdfast", "exec rel-holdfast-0 -- /opt/holdfast/bin/holdfast status",
		"logs rel-holdfast-0 --previous", "helm rollback rel", "--set-string restoreAt=POINT", "data.sizeLimit is not set",
		"port-forward service/rel-holdfast 3210:3210")
	expectNotes(t, notes(t, "minimal", "--is-upgrade"), "was upgraded", "(at most 25s)")
	expectNotes(t, notes(t, "everything"), "rolls back to 1234567", "delete pod backend-0", "3210:80")
	expectNotes(t, notes(t, "as-root"), "It is stopped")
	expectNotes(t, notes(t, "minimal", "--set", "settings.UNSAFE_NO_FENCING=1"), "nothing keeps two pods")
	if text := notes(t, "everything"); strings.Contains(text, "plain-") {
		t.Errorf("a credential is shown:\n%s", text)
	}
}
