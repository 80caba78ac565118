{{/* Names, labels and what several manifests share. */}}

{{- define "tidewaiter.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* Short enough for what is added to it: Lease, Jobs, Services. */}}
{{- define "tidewaiter.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- $name := include "tidewaiter.name" . -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "tidewaiter.selectorLabels" -}}
app.kubernetes.io/name: {{ include "tidewaiter.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "tidewaiter.labels" -}}
{{ include "tidewaiter.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "tidewaiter.serviceAccountName" -}}
{{- .Values.serviceAccount.name | default (include "tidewaiter.fullname" .) -}}
{{- end -}}

{{- define "tidewaiter.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{- printf "%s@%s" .repository .digest -}}
{{- else -}}
{{- printf "%s:%s" .repository (.tag | default $.Chart.AppVersion) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Where certificates that others make are found; empty when we make them. */}}
{{- define "tidewaiter.certificateSecret" -}}
{{- if eq .Values.tls.mode "certManager" -}}
{{- printf "%s-tls" (include "tidewaiter.fullname" .) -}}
{{- else if eq .Values.tls.mode "existingSecret" -}}
{{- required "tls.mode is existingSecret: name it in tls.existingSecret" .Values.tls.existingSecret -}}
{{- end -}}
{{- end -}}

{{/* What the restricted Pod Security Standard asks of a Pod. */}}
{{- define "tidewaiter.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "tidewaiter.securityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/* The volume that automounting would give to every container. */}}
{{- define "tidewaiter.tokenVolume" -}}
name: token
projected:
  defaultMode: 0440
  sources:
  - serviceAccountToken: {path: token, expirationSeconds: 3600}
  - configMap:
      name: kube-root-ca.crt
      items: [{key: ca.crt, path: ca.crt}]
  - downwardAPI:
      items: [{path: namespace, fieldRef: {fieldPath: metadata.namespace}}]
{{- end -}}

{{- define "tidewaiter.tokenMount" -}}
{name: token, mountPath: /var/run/secrets/kubernetes.io/serviceaccount, readOnly: true}
{{- end -}}

{{/* A Job that a hook runs: a dict with root, name, events, arguments, and weight. */}}
{{- define "tidewaiter.hookJob" -}}
{{- $ := .root -}}
apiVersion: batch/v1
kind: Job
metadata:
  name: {{ .name }}
  namespace: {{ $.Release.Namespace }}
  labels:
    {{- include "tidewaiter.labels" $ | nindent 4 }}
  annotations:
    {{- include "tidewaiter.hook" . | nindent 4 }}
spec:
  backoffLimit: 3
  activeDeadlineSeconds: 240
  ttlSecondsAfterFinished: 3600
  template:
    metadata:
      labels:
        app.kubernetes.io/name: {{ .name }}
        app.kubernetes.io/instance: {{ $.Release.Name }}
    spec:
      restartPolicy: Never
      serviceAccountName: {{ .name }}
      automountServiceAccountToken: false
      enableServiceLinks: false
      {{- with $.Values.imagePullSecrets }}
      imagePullSecrets:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $.Values.nodeSelector }}
      nodeSelector:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $.Values.tolerations }}
      tolerations:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      securityContext:
        {{- include "tidewaiter.podSecurityContext" $ | nindent 8 }}
      containers:
      - name: {{ .container }}
        image: {{ include "tidewaiter.image" $ | quote }}
        imagePullPolicy: {{ $.Values.image.pullPolicy }}
        args:
          {{- toYaml .arguments | nindent 8 }}
        env:
        - name: POD_NAMESPACE
          valueFrom: {fieldRef: {fieldPath: metadata.namespace}}
        securityContext:
          {{- include "tidewaiter.securityContext" $ | nindent 10 }}
        resources:
          requests: {cpu: 50m, memory: 128Mi}
          limits: {memory: 256Mi}
        volumeMounts:
        - {{ include "tidewaiter.tokenMount" $ }}
      volumes:
      - {{- include "tidewaiter.tokenVolume" $ | nindent 8 }}
{{- end -}}

{{/* Annotations of what belongs to a hook; rights come before the Job, and all goes when it has succeeded. */}}
{{- define "tidewaiter.hook" -}}
helm.sh/hook: {{ .events }}
helm.sh/hook-weight: {{ .weight | quote }}
helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
{{- end -}}

{{/* The arguments of the decision log. */}}
{{- define "tidewaiter.evidenceArgs" -}}
{{- with .Values.evidence }}
{{- if .enabled }}
{{- if and (eq .output "none") (not .otlp.endpoint) }}
{{- fail "evidence.output is none and evidence.otlp.endpoint is empty: say where the decision log goes, or set evidence.enabled to false" }}
{{- end }}
{{- if eq .output "stdout" }}
- --evidence=stdout
{{- else if eq .output "files" }}
{{- if not .volume }}
{{- fail "evidence.output is files: give evidence.volume, such as {persistentVolumeClaim: {claimName: evidence}}" }}
{{- end }}
- --evidence-dir=/var/log/tidewaiter/evidence
{{- end }}
{{- with .otlp.endpoint }}
- {{ printf "--evidence-otlp=%s" . | quote }}
{{- end }}
{{- if .keySecret }}
- --evidence-key=/run/tidewaiter/evidence-key/evidence.pem
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* The port of the OpenTelemetry collector; empty where none gets the decision log. */}}
{{- define "tidewaiter.collectorPort" -}}
{{- with .Values.evidence }}
{{- if and .enabled .otlp.endpoint }}
{{- $url := urlParse .otlp.endpoint }}
{{- regexFind "[0-9]+$" (regexFind ":[0-9]+$" $url.host) | default (ternary "443" "80" (eq $url.scheme "https")) }}
{{- end }}
{{- end }}
{{- end }}

{{/* What is not in a namespace and that the risk commands read; the Namespace itself for its labels. */}}
{{- define "tidewaiter.readerRules" }}
- apiGroups: [tidewaiter.dev]
  resources: [clusterpolicies, riskappetites, clusterriskacceptances, clusterriskapprovals]
  verbs: [get, list, watch]
- apiGroups: [""]
  resources: [namespaces]
  verbs: [get, list]
{{- include "tidewaiter.gatekeeperReaderRules" . }}
{{- end }}

{{/* What constraints are judged by, where they are enforced here. */}}
{{- define "tidewaiter.gatekeeperReaderRules" }}
{{- if .Values.gatekeeper.enabled }}
- apiGroups: [templates.gatekeeper.sh, constraints.gatekeeper.sh, config.gatekeeper.sh, syncset.gatekeeper.sh, expansion.gatekeeper.sh, externaldata.gatekeeper.sh]
  resources: ["*"]
  verbs: [get, list]
{{- end }}
{{- end }}

{{/* Users and groups as subjects of a binding; empty for nobody. */}}
{{- define "tidewaiter.subjects" }}
{{- range .groups }}
- {apiGroup: rbac.authorization.k8s.io, kind: Group, name: {{ . | quote }}}
{{- end }}
{{- range .users }}
- {apiGroup: rbac.authorization.k8s.io, kind: User, name: {{ . | quote }}}
{{- end }}
{{- end }}
