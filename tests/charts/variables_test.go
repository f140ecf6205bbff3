package charts

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"
)

// What the chart says by values of its own.
var ownNames = []string{
	"STORE", "S3_ENDPOINT", "S3_REGION", "DATA_DIR", "LISTEN", "SITE_LISTEN", "SITE_PREFIX", "ADMIN_LISTEN",
	"SHUTDOWN_TIMEOUT", "PREDECESSOR", "RESTORE_AT",
}

// knownVariables reads holdfast's own table: name and kind.
func knownVariables(t *testing.T) map[string]string {
	t.Helper()
	source, err := os.ReadFile("../../sidecar/config_table.c")
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]string{}
	for _, row := range regexp.MustCompile(`\{"([A-Z0-9_]+)", KIND_([A-Z]+),`).FindAllStringSubmatch(string(source), -1) {
		known[row[1]] = row[2]
	}
	if known["STORE"] != "TEXT" || len(known) < 30 {
		t.Fatalf("the table of variables is not read: %v", known)
	}
	return known
}

// exists is true for a variable of this release, and for the _FILE of a secret.
func exists(known map[string]string, name string) bool {
	kind := known[name]
	if file, found := strings.CutSuffix(name, "_FILE"); found && kind == "" {
		return known[file] == "SECRET"
	}
	return kind != "" && kind != "LATER"
}

func isSecret(name string) bool {
	for _, secret := range []string{"ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN"} {
		if strings.HasSuffix(name, secret) {
			return true
		}
	}
	return false
}

func durationOf(t *testing.T, text string) time.Duration {
	t.Helper()
	duration, err := time.ParseDuration(text)
	if err != nil || duration <= 0 {
		t.Fatalf("%q is no duration", text)
	}
	return duration
}

var variableName = regexp.MustCompile(`HOLDFAST_([A-Z0-9_]*[A-Z0-9])`)

func TestEveryVariableThatIsNamedExists(t *testing.T) {
	known := knownVariables(t)
	files := 0
	err := filepath.WalkDir("../../charts", func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		files++
		text, err := os.ReadFile(path)
		for _, name := range variableName.FindAllStringSubmatch(string(text), -1) {
			// Kubernetes would make HOLDFAST_PORT of a Service called holdfast.
			if !exists(known, name[1]) && name[1] != "PORT" {
				t.Errorf("%s names HOLDFAST_%s, which holdfast does not know", path, name[1])
			}
		}
		return err
	})
	if err != nil || files < 15 {
		t.Errorf("%d files, %v", files, err)
	}
}

func TestRenderedVariablesExist(t *testing.T) {
	known := knownVariables(t)
	eachRendering(t, func(t *testing.T, all *objects) {
		seen := map[string]bool{}
		for _, variable := range all.container().Env {
			name, ours := strings.CutPrefix(variable.Name, "HOLDFAST_")
			if ours && (!exists(known, name) || seen[name]) {
				t.Errorf("%s is not known, or given twice", variable.Name)
			}
			seen[name] = true
		}
	})
}

func TestTheSchemaHasEverySettingAndNoOther(t *testing.T) {
	text, err := os.ReadFile(chartFolder + "/values.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	var schema struct {
		Properties struct {
			Settings struct {
				Properties           map[string]any `json:"properties"`
				AdditionalProperties *bool          `json:"additionalProperties"`
			} `json:"settings"`
		} `json:"properties"`
	}
	if err := json.Unmarshal(text, &schema); err != nil {
		t.Fatal(err)
	}
	settings := schema.Properties.Settings
	if settings.AdditionalProperties == nil || *settings.AdditionalProperties {
		t.Error("a mistyped variable would be taken")
	}
	known := knownVariables(t)
	for name := range settings.Properties {
		if !exists(known, name) || slices.Contains(ownNames, name) {
			t.Errorf("settings.%s is not holdfast's, or has a value of its own", name)
		}
	}
	for name, kind := range known {
		_, found := settings.Properties[name]
		if !found && kind != "SECRET" && kind != "LATER" && !slices.Contains(ownNames, name) {
			t.Errorf("settings.%s is missing in values.schema.json", name)
		}
	}
}

// leaves names the values of a map by their paths, without what lies below one that the table explains as a whole.
func leaves(prefix string, values map[string]any, explained map[string]string) map[string]any {
	all := map[string]any{}
	for name, value := range values {
		path := prefix + name
		inner, isMap := value.(map[string]any)
		if _, found := explained[path]; found || !isMap || len(inner) == 0 {
			all[path] = value
			continue
		}
		for below, value := range leaves(path+".", inner, explained) {
			all[below] = value
		}
	}
	return all
}

func TestTheReadmeExplainsEveryValueWithItsDefault(t *testing.T) {
	readme, err := os.ReadFile(chartFolder + "/README.md")
	if err != nil {
		t.Fatal(err)
	}
	explained := map[string]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\| (?:`([^`]*)`)? *\\| [^|]+ \\|$").FindAllStringSubmatch(string(readme), -1) {
		explained[row[1]] = row[2]
	}
	text, err := os.ReadFile(chartFolder + "/values.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var values map[string]any
	if err := yaml.Unmarshal(text, &values); err != nil {
		t.Fatal(err)
	}
	all := leaves("", values, explained)
	for path, value := range all {
		initial, found := explained[path]
		if !found {
			t.Errorf("README.md does not explain %s", path)
		}
		if inner, isMap := value.(map[string]any); isMap && len(inner) > 0 {
			continue
		}
		shown, _ := json.Marshal(value)
		if wanted := strings.Trim(string(shown), `"`); initial != wanted && !(initial == "" && wanted == "null") {
			t.Errorf("README.md gives %s the default %q, it is %q", path, initial, wanted)
		}
	}
	for path := range explained {
		if _, found := all[path]; !found {
			t.Errorf("README.md explains %s, which is no value", path)
		}
	}
}
