package charts

import (
	"strings"
	"testing"
)

// Bad values, and the words that tell what is wrong and what to do.
var refusals = []struct {
	name, values string
	set          []string
	says         []string
}{
	{"two replicas", "minimal", []string{"replicas=2"}, []string{"replicas is 2", "one owner", "set it to 1"}},
	{"a grace that is too short", "minimal", []string{"terminationGracePeriodSeconds=20"},
		[]string{"terminationGracePeriodSeconds is 20", "shutdownTimeout (25s)", "set it to 35 or more"}},
	{"a grace as long as the shutdown", "minimal", []string{"terminationGracePeriodSeconds=120,shutdownTimeout=2m"},
		[]string{"terminationGracePeriodSeconds is 120", "shutdownTimeout (2m)"}},
	{"no store", "minimal", []string{"store.url="}, []string{"store.url is not set", "s3://BUCKET/PREFIX"}},
	{"no image", "minimal", []string{"image.repository="}, []string{"image.repository is not set", "entrypoint"}},
	{"no version", "minimal", []string{"image.tag="}, []string{"image.tag", "image.digest", "name the version"}},
	{"no credentials", "minimal", []string{"store.existingSecret="}, []string{"no credentials", "store.existingSecret"}},
	{"two sources of credentials", "everything", []string{"store.existingSecret=other"},
		[]string{"store.credentials and store.existingSecret are both given", "keep one"}},
	{"half a pair of credentials", "everything", []string{"store.credentials.secretAccessKey="},
		[]string{"store.credentials needs both"}},
	{"half a pair of files", "site-port", []string{"store.credentialFiles.accessKeyId="},
		[]string{"store.credentialFiles needs both"}},
	{"a directory in the pod", "file-store", []string{"store.volume=null"}, []string{"store.volume is empty", "thrown away"}},
	{"credentials for a directory", "file-store", []string{"store.existingSecret=x"}, []string{"needs no credentials", "remove"}},
	{"a monitor without metrics", "minimal", []string{"metrics.serviceMonitor.enabled=true"},
		[]string{"needs metrics.enabled"}},
	{"a variable of ours beside the values", "minimal", []string{"extraEnv[0].name=HOLDFAST_SHUTDOWN_TIMEOUT,extraEnv[0].value=5m"},
		[]string{"extraEnv sets HOLDFAST_SHUTDOWN_TIMEOUT", "settings"}},
	{"a secret in plain text", "minimal", []string{"extraEnv[0].name=AWS_SECRET_ACCESS_KEY,extraEnv[0].value=x"},
		[]string{"AWS_SECRET_ACCESS_KEY in plain text", "valueFrom"}},
	{"an unknown key", "minimal", []string{"replicaCount=1"}, []string{"replicaCount", "not allowed"}},
	{"an unknown key further down", "minimal", []string{"store.bucket=x"}, []string{"/store", "bucket", "not allowed"}},
	{"an unknown variable", "minimal", []string{"settings.SYNC_INTERVALL=1s"}, []string{"/settings", "SYNC_INTERVALL"}},
	{"a duration without a unit", "minimal", []string{"shutdownTimeout=25"}, []string{"/shutdownTimeout"}},
	{"a store that is none", "minimal", []string{"store.url=bucket/app"}, []string{"/store/url"}},
	{"a port that is none", "minimal", []string{"front.port=70000"}, []string{"/front/port"}},
}

func TestBadValuesAreRefusedInOneSentence(t *testing.T) {
	for _, refusal := range refusals {
		t.Run(refusal.name, func(t *testing.T) {
			arguments := []string{"template", release, chartFolder, "--values", "values/" + refusal.values + ".yaml"}
			for _, set := range refusal.set {
				arguments = append(arguments, "--set", set)
			}
			stdout, stderr, ok := helm(t, arguments...)
			if ok {
				t.Fatalf("accepted:\n%s", stdout)
			}
			for _, words := range refusal.says {
				if !strings.Contains(stderr, words) {
					t.Errorf("it does not say %q:\n%s", words, stderr)
				}
			}
		})
	}
}
