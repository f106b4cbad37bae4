{{- define "portcullis.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "portcullis.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
capabilities:
  drop: [ALL]
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- /* What every Pod has: list root, whether it speaks with the cluster. */}}
{{- define "portcullis.pod" -}}
{{- $root := index . 0 -}}
automountServiceAccountToken: {{ index . 1 }}
enableServiceLinks: false
{{- with $root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  {{- include "portcullis.podSecurity" $root | nindent 2 }}
{{- end }}

{{- /* Spread over hosts and zones, each revision by itself: list root component. */}}
{{- define "portcullis.spread" -}}
topologySpreadConstraints:
{{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
  - topologyKey: {{ . }}
    maxSkew: 1
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "portcullis.selector" $ | nindent 8 }}
{{- end }}
{{- end }}

{{- /* The configuration of a service's process: list root service. What the service itself is told comes last. */}}
{{- define "portcullis.config" -}}
{{- $root := index . 0 -}}
{{- $service := index . 1 -}}
{{- $v := $root.Values -}}
{{- $peers := dict -}}
{{- range include "portcullis.callees" . | splitList "," -}}
{{- if . }}{{ $_ := set $peers . (printf "%s-%s:7443" (include "portcullis.fullname" $root) .) }}{{ end -}}
{{- end -}}
{{- $c := dict "product" $v.product "timezone" $v.timezone "log-level" $v.logLevel "log-format" "json"
  "listen" ":7443" "health" ":7480" "peers" $peers
  "tls-cert" "/etc/portcullis/tls/tls.crt" "tls-key" "/etc/portcullis/tls/tls.key" "tls-ca" "/etc/portcullis/tls/ca.crt"
  "keys" "/etc/portcullis/keys" "holds" "/var/lib/portcullis/holds"
  "nats" (include "portcullis.nats" $root) "nats-tls" (eq (include "portcullis.natsTLS" $root) "true")
  "nats-password-file" "/etc/portcullis/nats/password" "nats-synced" (and (not $v.nats.inChart) $v.nats.synced) -}}
{{- if eq $service "gateway" -}}
{{- $c = merge $c (dict "http" ":8080" "grpc" ":9090") -}}
{{- else if eq $service "bastion" -}}
{{- $shown := ternary "/etc/portcullis/postgres" "/etc/portcullis/tls" (ne $v.postgres.certificate.existingSecret "") -}}
{{- $c = merge $c (dict "ssh" ":2222" "data" "/var/lib/portcullis" "postgres" (ternary ":5433" "" $v.postgres.enabled) "postgres-plain" false
  "postgres-cert" (printf "%s/tls.crt" $shown) "postgres-key" (printf "%s/tls.key" $shown)) -}}
{{- if $v.kubectl.enabled -}}
{{- $c = merge $c (dict "kubectl" ":6443" "kubectl-cert" "/etc/portcullis/kubectl/tls.crt" "kubectl-key" "/etc/portcullis/kubectl/tls.key") -}}
{{- end -}}
{{- else if eq $service "identity" -}}
{{- $c = merge $c (dict "admin-user" $v.admin.user "admin-password-file" "/etc/portcullis/admin/password" "admin-totp-secret-file" "/etc/portcullis/admin/totp-secret") -}}
{{- if $v.oidc.existingSecret }}{{ $_ := set $c "oidc-client-secret-file" "/etc/portcullis/oidc/client-secret" }}{{ end -}}
{{- if and $v.oidc.existingSecret $v.oidc.ca }}{{ $_ := set $c "oidc-ca" "/etc/portcullis/oidc/ca.crt" }}{{ end -}}
{{- else if eq $service "emergency-control" -}}
{{- $c = merge $c (dict "checkpoint-webhook" $v.checkpoints.webhook "checkpoint-interval" $v.checkpoints.interval) -}}
{{- if $v.checkpoints.claim }}{{ $_ := set $c "checkpoint-file" "/var/lib/portcullis/checkpoints" }}{{ end -}}
{{- if $v.checkpoints.existingSecret }}{{ $_ := set $c "checkpoint-webhook-secret-file" "/etc/portcullis/checkpoints/webhook-secret" }}{{ end -}}
{{- if $v.tickets.existingSecret }}{{ $_ := set $c "ticket-credential-file" "/etc/portcullis/tickets/credential" }}{{ end -}}
{{- if and $v.tickets.existingSecret $v.tickets.ca }}{{ $_ := set $c "ticket-ca" "/etc/portcullis/tickets/ca.crt" }}{{ end -}}
{{- else if and (eq $service "access-gate") $v.kubernetes.cluster -}}
{{- $c = merge $c (dict "kubernetes-cluster" $v.kubernetes.cluster "kubernetes-parameter" (printf "%s/%s-emergencies" $root.Release.Namespace (include "portcullis.fullname" $root))) -}}
{{- else if eq $service "session-broker" -}}
{{- if $v.redis.inChart -}}
{{- $c = merge $c (dict "redis" (printf "rediss://%s:6379/0" (include "portcullis.hosts" (list $root "redis"))) "redis-ca" "/etc/portcullis/tls/ca.crt") -}}
{{- else -}}
{{- $c = merge $c (dict "redis" $v.redis.url "redis-cluster" $v.redis.cluster) -}}
{{- if $v.redis.caSecret }}{{ $_ := set $c "redis-ca" "/etc/portcullis/redis-ca/ca.crt" }}{{ end -}}
{{- if $v.redis.sentinelPassword }}{{ $_ := set $c "redis-sentinel-password-file" "/etc/portcullis/redis/sentinel-password" }}{{ end -}}
{{- end -}}
{{- if or $v.redis.inChart $v.redis.password }}{{ $_ := set $c "redis-password-file" "/etc/portcullis/redis/password" }}{{ end -}}
{{- end -}}
{{- $own := include "portcullis.values" . | fromYaml -}}
{{- $c = merge $c (dict "stale-mode" $own.staleness.mode "stale-bound" $own.staleness.bound) -}}
{{ toYaml (merge (deepCopy $own.config) $c) }}
{{- end }}

{{- define "portcullis.toNATS" -}}
{{- if .Values.nats.inChart -}}
- ports: [{port: 4222, protocol: TCP}]
  to:
    - podSelector:
        matchLabels:
          {{- include "portcullis.selector" (list . "nats") | nindent 10 }}
{{- else -}}
# Your NATS listens where you say.
- ports: [{port: 1024, endPort: 65535, protocol: TCP}]
{{- end -}}
{{- end }}
