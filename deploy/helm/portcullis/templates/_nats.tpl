{{- define "portcullis.natsTLSBlock" -}}
cert_file: /etc/portcullis/tls/tls.crt, key_file: /etc/portcullis/tls/tls.key, ca_file: /etc/portcullis/tls/ca.crt, verify: true
{{- end }}

{{- define "portcullis.natsConfig" -}}
{{- $name := printf "%s-nats" (include "portcullis.fullname" .) -}}
listen: "0.0.0.0:4222"
http: "0.0.0.0:8222"
server_name: $POD_NAME
# What is acknowledged is on disk: without it the services refuse to start.
jetstream { store_dir: /data, sync_interval: always }
tls { {{ include "portcullis.natsTLSBlock" . }} }
{{- if gt (int .Values.nats.server.replicas) 1 }}
cluster {
  name: {{ $name }}
  listen: "0.0.0.0:6222"
  no_advertise: true
  tls { {{ include "portcullis.natsTLSBlock" . }} }
  routes: [
    {{- range $i := until (int .Values.nats.server.replicas) }}
    "nats-route://{{ $name }}-{{ $i }}.{{ $name }}.{{ $.Release.Namespace }}.svc:6222"
    {{- end }}
  ]
}
{{- end }}
include "accounts.conf"
{{- end }}

{{- define "portcullis.streamsPod" -}}
{{ include "portcullis.pod" (list . false) }}
restartPolicy: OnFailure
containers:
  - name: streams
    image: {{ include "portcullis.image" (list . "portcullis") }}
    imagePullPolicy: {{ .Values.image.pullPolicy }}
    args: [prepare, streams, --replicas={{ .Values.nats.inChart | ternary .Values.nats.server.replicas .Values.nats.streamReplicas }}]
    env:
      - {name: PORTCULLIS_NATS, value: {{ include "portcullis.nats" . | quote }}}
      - {name: PORTCULLIS_NATS_TLS, value: {{ include "portcullis.natsTLS" . | quote }}}
      - {name: PORTCULLIS_NATS_SYNCED, value: {{ and (not .Values.nats.inChart) .Values.nats.synced | quote }}}
      - {name: PORTCULLIS_NATS_PASSWORD_FILE, value: /etc/portcullis/nats/password}
      - {name: PORTCULLIS_TLS_CERT, value: /etc/portcullis/tls/tls.crt}
      - {name: PORTCULLIS_TLS_KEY, value: /etc/portcullis/tls/tls.key}
      - {name: PORTCULLIS_TLS_CA, value: /etc/portcullis/tls/ca.crt}
    resources:
      {{- include "portcullis.jobResources" . | nindent 6 }}
    securityContext:
      {{- include "portcullis.containerSecurity" . | nindent 6 }}
    volumeMounts:
      - {name: tls, mountPath: /etc/portcullis/tls, readOnly: true}
      - {name: nats, mountPath: /etc/portcullis/nats, readOnly: true}
volumes:
  - name: tls
    secret: {secretName: {{ include "portcullis.tlsSecret" (list . "bootstrap") | quote }}, defaultMode: 0440}
  - name: nats
    secret:
      secretName: {{ include "portcullis.natsSecret" . | quote }}
      defaultMode: 0440
      items: [{key: bootstrap, path: password}]
{{- end }}
