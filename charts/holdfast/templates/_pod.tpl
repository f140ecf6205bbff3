{{- define "holdfast.credentialFiles" -}}
{{- if include "holdfast.hasCredentialFiles" . -}}
{{- toYaml .Values.store.credentialFiles -}}
{{- else if not (include "holdfast.hasFileStore" .) -}}
{{- $session := .Values.store.credentials.sessionToken -}}
{{- if .Values.store.existingSecret }}{{ $session = .Values.store.existingSecretKeys.sessionToken }}{{ end -}}
accessKeyId: /etc/holdfast/store/access-key-id
secretAccessKey: /etc/holdfast/store/secret-access-key
{{- if $session }}
sessionToken: /etc/holdfast/store/session-token
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Credentials are files: they are in no environment, and holdfast reads them again when the store says that they
     have expired. */}}
{{- define "holdfast.environment" -}}
{{- $files := include "holdfast.credentialFiles" . | fromYaml -}}
{{- $set := dict "STORE" .Values.store.url "DATA_DIR" .Values.data.mountPath -}}
{{- $_ := set $set "S3_ENDPOINT" .Values.store.endpoint -}}
{{- $_ := set $set "S3_REGION" .Values.store.region -}}
{{- $_ := set $set "S3_ACCESS_KEY_ID_FILE" $files.accessKeyId -}}
{{- $_ := set $set "S3_SECRET_ACCESS_KEY_FILE" $files.secretAccessKey -}}
{{- $_ := set $set "S3_SESSION_TOKEN_FILE" $files.sessionToken -}}
{{- $_ := set $set "LISTEN" (printf "%s:%d" .Values.listenHost (int64 .Values.front.port)) -}}
{{- if .Values.site.enabled -}}
{{- $_ := set $set "SITE_LISTEN" (printf "%s:%d" .Values.listenHost (int64 .Values.site.port)) -}}
{{- $_ := set $set "SITE_PREFIX" .Values.site.prefix -}}
{{- end -}}
{{- $admin := ternary .Values.listenHost "127.0.0.1" .Values.metrics.enabled -}}
{{- $_ := set $set "ADMIN_LISTEN" (printf "%s:%d" $admin (int64 .Values.metrics.port)) -}}
{{- $_ := set $set "SHUTDOWN_TIMEOUT" .Values.shutdownTimeout -}}
{{- $_ := set $set "PREDECESSOR" .Values.predecessor -}}
{{- $_ := set $set "RESTORE_AT" .Values.restoreAt -}}
{{- range $name, $value := .Values.settings }}{{ $_ := set $set $name $value }}{{ end -}}
{{- range $name, $value := $set }}
{{- $text := include "holdfast.text" $value }}
{{- $given := or $text (and (has $name (list "EXCLUDE" "DATABASES")) (kindIs "string" $value)) }}
{{- if $given }}
- name: HOLDFAST_{{ $name }}
  value: {{ $text | quote }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "holdfast.ports" -}}
- name: front
  containerPort: {{ .Values.front.port }}
{{- if .Values.site.enabled }}
- name: site
  containerPort: {{ .Values.site.port }}
{{- end }}
{{- if .Values.metrics.enabled }}
- name: metrics
  containerPort: {{ .Values.metrics.port }}
{{- end }}
{{- end -}}

{{- define "holdfast.probes" -}}
startupProbe:
  httpGet: {path: /_holdfast/live, port: front}
  {{- toYaml .Values.probes.startup | nindent 2 }}
livenessProbe:
  httpGet: {path: /_holdfast/live, port: front}
  {{- toYaml .Values.probes.liveness | nindent 2 }}
readinessProbe:
  httpGet: {path: /_holdfast/ready, port: front}
  {{- toYaml .Values.probes.readiness | nindent 2 }}
{{- end -}}

{{/* True if the credentials come out of a Secret that the pod mounts. */}}
{{- define "holdfast.mountsSecret" -}}
{{- if not (or (include "holdfast.hasFileStore" .) (include "holdfast.hasCredentialFiles" .)) }}true{{ end -}}
{{- end -}}

{{- define "holdfast.mounts" -}}
- name: data
  mountPath: {{ .Values.data.mountPath }}
- name: tmp
  mountPath: /tmp
{{- if include "holdfast.mountsSecret" . }}
- name: credentials
  mountPath: /etc/holdfast/store
  readOnly: true
{{- end }}
{{- if include "holdfast.hasFileStore" . }}
- name: store
  mountPath: {{ trimPrefix "file://" .Values.store.url }}
{{- end }}
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "holdfast.secretItems" -}}
{{- $keys := dict "accessKeyId" "access-key-id" "secretAccessKey" "secret-access-key" -}}
{{- if .Values.store.credentials.sessionToken }}{{ $_ := set $keys "sessionToken" "session-token" }}{{ end -}}
{{- if .Values.store.existingSecret }}{{ $keys = .Values.store.existingSecretKeys }}{{ end -}}
{{- range $what, $path := dict "accessKeyId" "access-key-id" "secretAccessKey" "secret-access-key" "sessionToken" "session-token" }}
{{- with get $keys $what }}
- key: {{ . }}
  path: {{ $path }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "holdfast.volumes" -}}
- name: data
  {{- $limits := dict }}
  {{- with .Values.data.medium }}{{ $_ := set $limits "medium" . }}{{ end }}
  {{- with .Values.data.sizeLimit }}{{ $_ := set $limits "sizeLimit" . }}{{ end }}
  emptyDir: {{ toJson $limits }}
- name: tmp
  emptyDir: {}
{{- if include "holdfast.mountsSecret" . }}
- name: credentials
  secret:
    secretName: {{ include "holdfast.secret" . }}
    defaultMode: 0440
    items: {{- include "holdfast.secretItems" . | trim | nindent 6 }}
{{- end }}
{{- if include "holdfast.hasFileStore" . }}
- name: store
  {{- toYaml .Values.store.volume | nindent 2 }}
{{- end }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}
