{{/* What templates share. A name that is demanded is demanded here, once. */}}

{{- define "trustkit.labels" -}}
app.kubernetes.io/name: trustkit
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end }}

{{- define "trustkit.selector" -}}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "trustkit.metadata" -}}
name: {{ .root.Release.Name }}-{{ .component }}
namespace: {{ .root.Release.Namespace }}
labels:
  {{- include "trustkit.labels" . | nindent 2 }}
{{- end }}

{{/* What every Pod of ours may not do. */}}
{{- define "trustkit.podSpec" -}}
serviceAccountName: {{ .root.Release.Name }}-{{ .component }}
automountServiceAccountToken: false
enableServiceLinks: false
priorityClassName: {{ .root.Values.priorityClassName }}
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets: {{ toYaml . | nindent 2 }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  fsGroup: 65532
  seccompProfile: {type: RuntimeDefault}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "trustkit.selector" . | nindent 8 }}
{{- with .values.initContainers }}
initContainers: {{ toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "trustkit.container" -}}
image: {{ .values.image }}
imagePullPolicy: IfNotPresent
args: [serve, --config, /trustkit/config/{{ .component }}.yaml]
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
resources: {{ toYaml .values.resources | nindent 2 }}
# Its address is taken out of use before it stops answering.
lifecycle:
  preStop: {sleep: {seconds: 5}}
{{- end }}

{{/* The volumes all three have, and where they are seen. */}}
{{- define "trustkit.volumes" -}}
- name: config
  configMap: {name: {{ .root.Release.Name }}-{{ .component }}}
- name: svid
  {{- toYaml .values.svid.volume | nindent 2 }}
{{- end }}

{{- define "trustkit.mounts" -}}
- {name: config, mountPath: /trustkit/config, readOnly: true}
- {name: svid, mountPath: /trustkit/svid, readOnly: true}
{{- end }}

{{- define "trustkit.webhookHost" -}}
{{ .Release.Name }}-webhook.{{ .Release.Namespace }}.svc
{{- end }}

{{- define "trustkit.brokerHost" -}}
{{ .Release.Name }}-broker.{{ .Release.Namespace }}.svc
{{- end }}

{{- define "trustkit.policyName" -}}
{{ .Release.Name }}-policy
{{- end }}
