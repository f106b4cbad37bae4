{{- define "portcullis.services" -}}
access-gate,bastion,emergency-control,gateway,identity,notifier,session-broker
{{- end }}

{{- define "portcullis.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{ .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{ (contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name)) | trunc 40 | trimSuffix "-" }}
{{- end -}}
{{- end }}

{{- /* Labels of a part: list root component. */}}
{{- define "portcullis.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ default $root.Chart.Name $root.Values.nameOverride }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{- define "portcullis.labels" -}}
{{- $root := index . 0 -}}
{{ include "portcullis.selector" . }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version }}
{{- end }}

{{- /* The image of one of our programs: list root program. */}}
{{- define "portcullis.image" -}}
{{- $i := (index . 0).Values.image -}}
{{- $name := printf "%s/%s" $i.repository (index . 1) -}}
{{- if $i.registry }}{{ $name = printf "%s/%s" $i.registry $name }}{{ end -}}
{{- with index $i.digests (index . 1) -}}
{{ $name }}@{{ . }}
{{- else -}}
{{ $name }}:{{ default (index $ 0).Chart.AppVersion $i.tag }}
{{- end -}}
{{- end }}

{{- define "portcullis.serverImage" -}}
{{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ .tag }}{{ end }}
{{- end }}

{{- /* A service's values over the defaults: list root service. */}}
{{- define "portcullis.values" -}}
{{- $values := (index . 0).Values -}}
{{ toYaml (mergeOverwrite (deepCopy $values.defaults) (deepCopy (index $values.services (index . 1)))) }}
{{- end }}

{{- /* How many Pods of a service there are at least. */}}
{{- define "portcullis.replicas" -}}
{{- $own := include "portcullis.values" . | fromYaml -}}
{{ $own.autoscaling.enabled | ternary $own.autoscaling.minReplicas $own.replicas }}
{{- end }}

{{- /* Who calls this service; and whom it calls. */}}
{{- define "portcullis.callees" -}}
{{- $service := index . 1 -}}
{{- $all := list -}}
{{- range $owner, $callers := (index . 0).Files.Get "files/callers.yaml" | fromYaml -}}
{{- if has $service $callers }}{{ $all = append $all $owner }}{{ end -}}
{{- end -}}
{{ join "," (sortAlpha $all) }}
{{- end }}

{{- define "portcullis.nats" -}}
{{- if .Values.nats.inChart -}}
{{- $all := list -}}
{{- range $i := until (int .Values.nats.server.replicas) -}}
{{- $all = append $all (printf "tls://%s-nats-%d.%s-nats.%s.svc:4222" (include "portcullis.fullname" $) $i (include "portcullis.fullname" $) $.Release.Namespace) -}}
{{- end -}}
{{ join "," $all }}
{{- else -}}
{{ join "," .Values.nats.urls }}
{{- end -}}
{{- end }}

{{- define "portcullis.natsTLS" -}}
{{- or .Values.nats.inChart .Values.nats.tls -}}
{{- end }}
