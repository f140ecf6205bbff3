{{- define "holdfast.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 52 | trimSuffix "-" -}}
{{- end -}}

{{/* At most 52 characters: a StatefulSet adds "-0" and a hash, the Services a suffix, and 63 is the limit. */}}
{{- define "holdfast.fullname" -}}
{{- $name := include "holdfast.name" . -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "holdfast.selector" -}}
app.kubernetes.io/name: {{ include "holdfast.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: backend
{{- end -}}

{{/* For what is not the pod itself. */}}
{{- define "holdfast.labels" -}}
app.kubernetes.io/name: {{ include "holdfast.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "holdfast.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "holdfast.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "holdfast.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag }}
{{- end -}}
{{- end -}}

{{/* "true" or nothing. */}}
{{- define "holdfast.hasFileStore" -}}
{{- if hasPrefix "file://" .Values.store.url }}true{{ end -}}
{{- end -}}

{{- define "holdfast.hasCredentials" -}}
{{- with .Values.store.credentials }}{{ if or .accessKeyId .secretAccessKey .sessionToken }}true{{ end }}{{ end -}}
{{- end -}}

{{- define "holdfast.hasCredentialFiles" -}}
{{- with .Values.store.credentialFiles }}{{ if or .accessKeyId .secretAccessKey .sessionToken }}true{{ end }}{{ end -}}
{{- end -}}

{{- define "holdfast.secret" -}}
{{- default (include "holdfast.fullname" . | printf "%s-store") .Values.store.existingSecret -}}
{{- end -}}

{{/* Whole seconds of a duration of holdfast, rounded up. */}}
{{- define "holdfast.seconds" -}}
{{- $units := dict "ms" 1 "s" 1000 "m" 60000 "h" 3600000 "d" 86400000 -}}
{{- $unit := regexFind "[a-z]+$" . -}}
{{- $ms := mul (regexFind "^[0-9]+" . | int64) (get $units $unit) -}}
{{- div (add $ms 999) 1000 -}}
{{- end -}}

{{/* Refuses a grace that ends before holdfast has: the last changes would die with the pod. */}}
{{- define "holdfast.grace" -}}
{{- $shutdown := include "holdfast.seconds" .Values.shutdownTimeout | int64 -}}
{{- if kindIs "invalid" .Values.terminationGracePeriodSeconds -}}
{{- add $shutdown 10 -}}
{{- else -}}
{{- $grace := .Values.terminationGracePeriodSeconds | int64 -}}
{{- if le $grace $shutdown -}}
{{- fail (printf "terminationGracePeriodSeconds is %d, but holdfast may need all of shutdownTimeout (%s) to ship what is left before Kubernetes kills it: leave it out, or set it to %d or more" $grace .Values.shutdownTimeout (add $shutdown 10)) -}}
{{- end -}}
{{- $grace -}}
{{- end -}}
{{- end -}}

{{/* A scalar as text; numbers of a values file are floating-point, 1234567 would become 1.234567e+06. */}}
{{- define "holdfast.text" -}}
{{- if kindIs "float64" . }}{{ int64 . }}{{ else if not (kindIs "invalid" .) }}{{ . }}{{ end -}}
{{- end -}}
