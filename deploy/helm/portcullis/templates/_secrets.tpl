{{- /* The Secret of a certificate: list root name. */}}
{{- define "portcullis.tlsSecret" -}}
{{- $root := index . 0 -}}
{{ default (printf "%s-tls-%s" (include "portcullis.fullname" $root) (index . 1)) (index $root.Values.certificates.existingSecrets (index . 1)) }}
{{- end }}

{{- define "portcullis.keysSecret" -}}
{{- $root := index . 0 -}}
{{ default (printf "%s-keys-%s" (include "portcullis.fullname" $root) (index . 1)) (index $root.Values.keys.existingSecrets (index . 1)) }}
{{- end }}

{{- define "portcullis.natsSecret" -}}
{{ default (printf "%s-nats" (include "portcullis.fullname" .)) .Values.nats.existingSecret }}
{{- end }}

{{- define "portcullis.redisSecret" -}}
{{ default (printf "%s-redis" (include "portcullis.fullname" .)) .Values.redis.existingSecret }}
{{- end }}

{{- define "portcullis.adminSecret" -}}
{{ default (printf "%s-admin" (include "portcullis.fullname" .)) .Values.admin.existingSecret }}
{{- end }}

{{- define "portcullis.bastionSecret" -}}
{{ default (printf "%s-bastion" (include "portcullis.fullname" .)) .Values.ssh.hostKey.existingSecret }}
{{- end }}

{{- /* Everybody who has a certificate. */}}
{{- define "portcullis.certified" -}}
{{- $all := append (include "portcullis.services" . | splitList ",") "bootstrap" -}}
{{- if .Values.nats.inChart }}{{ $all = append $all "nats" }}{{ end -}}
{{- if .Values.redis.inChart }}{{ $all = append $all "redis" }}{{ end -}}
{{ join "," $all }}
{{- end }}

{{- /* The host names of a server in the chart: list root name. */}}
{{- define "portcullis.hosts" -}}
{{- $root := index . 0 -}}
{{- $name := printf "%s-%s.%s.svc" (include "portcullis.fullname" $root) (index . 1) $root.Release.Namespace -}}
{{ eq (index . 1) "nats" | ternary (printf "%s,*.%s" $name $name) $name }}
{{- end }}

{{- /* What the Job must make. */}}
{{- define "portcullis.made" -}}
{{- $v := .Values -}}
{{- $all := list -}}
{{- if eq $v.certificates.source "generated" }}{{ $all = append $all "certificates" }}{{ end -}}
{{- if not $v.keys.existingSecrets }}{{ $all = append $all "keys" }}{{ end -}}
{{- if not $v.nats.existingSecret }}{{ $all = append $all "nats" }}{{ end -}}
{{- if and $v.redis.inChart (not $v.redis.existingSecret) }}{{ $all = append $all "redis" }}{{ end -}}
{{- if not $v.admin.existingSecret }}{{ $all = append $all "admin" }}{{ end -}}
{{- if not $v.ssh.hostKey.existingSecret }}{{ $all = append $all "bastion" }}{{ end -}}
{{ join "," $all }}
{{- end }}

{{- define "portcullis.prepareArgs" -}}
- prepare
- secrets
{{- range .kinds }}
- {{ . }}
{{- end }}
- --prefix={{ include "portcullis.fullname" .root }}-
- --label=app.kubernetes.io/name={{ default .root.Chart.Name .root.Values.nameOverride }}
- --label=app.kubernetes.io/instance={{ .root.Release.Name }}
{{- $root := .root }}
{{- range $server := list "nats" "redis" }}
{{- if (index $root.Values $server).inChart }}
{{- range include "portcullis.hosts" (list $root $server) | splitList "," }}
- --dns={{ $server }}={{ . }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- define "portcullis.prepareContainer" -}}
{{ include "portcullis.pod" (list .root true) }}
restartPolicy: OnFailure
containers:
  - name: prepare
    image: {{ include "portcullis.image" (list .root "portcullis") }}
    imagePullPolicy: {{ .root.Values.image.pullPolicy }}
    args:
      {{- include "portcullis.prepareArgs" . | nindent 6 }}
    resources:
      {{- include "portcullis.jobResources" .root | nindent 6 }}
    securityContext:
      {{- include "portcullis.containerSecurity" .root | nindent 6 }}
    volumeMounts:
      - {name: tmp, mountPath: /tmp}
volumes:
  - name: tmp
    emptyDir: {medium: Memory, sizeLimit: 16Mi} # keys pass through it
{{- end }}

{{- define "portcullis.jobResources" -}}
requests: {cpu: 50m, memory: 64Mi, ephemeral-storage: 16Mi}
limits: {memory: 256Mi, ephemeral-storage: 64Mi}
{{- end }}
