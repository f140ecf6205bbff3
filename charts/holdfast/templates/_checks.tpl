{{/* What the schema can't say in a sentence: each refusal tells the remedy. */}}
{{- define "holdfast.check" -}}
{{- include "holdfast.checkReplicas" . -}}
{{- include "holdfast.checkImage" . -}}
{{- include "holdfast.checkStore" . -}}
{{- include "holdfast.checkEnvironment" . -}}
{{- if and .Values.metrics.serviceMonitor.enabled (not .Values.metrics.enabled) -}}
{{- fail "metrics.serviceMonitor.enabled needs metrics.enabled: without it the metrics are on the pod's loopback only" -}}
{{- end -}}
{{- end -}}

{{- define "holdfast.checkReplicas" -}}
{{- if gt (int64 .Values.replicas) 1 -}}
{{- fail (printf "replicas is %d, but one store has one owner at a time and a second pod would take over from the first for ever: set it to 1 (or 0 to stop)" (int64 .Values.replicas)) -}}
{{- end -}}
{{- end -}}

{{- define "holdfast.checkImage" -}}
{{- if not .Values.image.repository -}}
{{- fail "image.repository is not set: name your own image, the one with holdfast as its entrypoint" -}}
{{- end -}}
{{- if not (or .Values.image.tag .Values.image.digest) -}}
{{- fail "neither image.tag nor image.digest is set: name the version that is to run, so that a restart can't change it" -}}
{{- end -}}
{{- end -}}

{{- define "holdfast.checkStore" -}}
{{- if not .Values.store.url -}}
{{- fail "store.url is not set: say where the data is kept, s3://BUCKET/PREFIX, r2://ACCOUNT/BUCKET/PREFIX or file:///DIR" -}}
{{- end -}}
{{- if include "holdfast.hasFileStore" . -}}
{{- include "holdfast.checkFileStore" . -}}
{{- else -}}
{{- include "holdfast.checkCredentials" . -}}
{{- end -}}
{{- end -}}

{{- define "holdfast.checkFileStore" -}}
{{- if not .Values.store.volume -}}
{{- fail (printf "store.url is %s, but store.volume is empty: name the volume that is mounted there, since what lies in the pod is thrown away with it" .Values.store.url) -}}
{{- end -}}
{{- if or (include "holdfast.hasCredentials" .) .Values.store.existingSecret (include "holdfast.hasCredentialFiles" .) -}}
{{- fail "store.url is a directory, which needs no credentials: remove credentials, existingSecret and credentialFiles from store" -}}
{{- end -}}
{{- end -}}

{{- define "holdfast.checkCredentials" -}}
{{- $given := list -}}
{{- if include "holdfast.hasCredentials" . }}{{ $given = append $given "store.credentials" }}{{ end -}}
{{- if .Values.store.existingSecret }}{{ $given = append $given "store.existingSecret" }}{{ end -}}
{{- if include "holdfast.hasCredentialFiles" . }}{{ $given = append $given "store.credentialFiles" }}{{ end -}}
{{- if not $given -}}
{{- fail "the store has no credentials: give store.credentials, or the name of a Secret in store.existingSecret, or paths in store.credentialFiles" -}}
{{- end -}}
{{- if gt (len $given) 1 -}}
{{- fail (printf "%s are both given: keep one of them, so that it is clear which key is in use" (join " and " $given)) -}}
{{- end -}}
{{- range $from, $keys := dict "credentials" .Values.store.credentials "credentialFiles" .Values.store.credentialFiles -}}
{{- if and (has (printf "store.%s" $from) $given) (not (and $keys.accessKeyId $keys.secretAccessKey)) -}}
{{- fail (printf "store.%s needs both accessKeyId and secretAccessKey" $from) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "holdfast.checkEnvironment" -}}
{{- range .Values.extraEnv -}}
{{- if hasPrefix "HOLDFAST_" .name -}}
{{- fail (printf "extraEnv sets %s, but the variables of holdfast are values of their own: write it below settings, or store, site, metrics and so on" .name) -}}
{{- end -}}
{{- if and .value (has .name (list "AWS_ACCESS_KEY_ID" "AWS_SECRET_ACCESS_KEY" "AWS_SESSION_TOKEN")) -}}
{{- fail (printf "extraEnv has %s in plain text, where everybody reads it who may see the pod: use valueFrom with a Secret" .name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
