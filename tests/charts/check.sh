#!/bin/sh
# The chart and the other examples of charts/, held against the real helm, Kubernetes' own types and holdfast's table of
# variables. `./bootstrap check charts` finds a Go that is new enough and runs this.
#
# Modules and helm stay in deps/go/: only the first run fetches and builds them.
set -eu

cd "$(dirname "$0")"
top=$(cd ../.. && pwd)
helm_version=v3.22.0
# The Kubernetes that the chart is rendered for; helm's own build says it in the same way.
kubernetes_minor=37

# Writable, so that rm can remove them. Nothing of the user's own settings counts.
GOFLAGS=-modcacherw
GOMODCACHE=$top/deps/go/mod
GOCACHE=$top/build/go
GOBIN=$top/deps/go/helm-$helm_version
GOWORK=off
GOTOOLCHAIN=local
CGO_ENABLED=0
export GOFLAGS GOMODCACHE GOCACHE GOBIN GOWORK GOTOOLCHAIN CGO_ENABLED

kubernetes() {
    for package in pkg/lint/rules pkg/chartutil; do
        printf '%s ' "-X helm.sh/helm/v3/$package.k8sVersionMajor=1" \
            "-X helm.sh/helm/v3/$package.k8sVersionMinor=$kubernetes_minor"
    done
}

HELM=$GOBIN/helm
export HELM
if [ ! -x "$HELM" ]; then
    echo "building helm $helm_version"
    # Without -trimpath: the tests find the same packages built.
    go install -ldflags "-s -w $(kubernetes)" "helm.sh/helm/v3/cmd/helm@$helm_version"
fi

test -z "$(gofmt -l .)" || {
    echo "gofmt would change: $(gofmt -l . | tr '\n' ' ')" >&2
    exit 1
}
go vet ./...
exec go test -count=1 "$@" ./...
