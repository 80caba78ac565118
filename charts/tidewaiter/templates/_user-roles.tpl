{{- define "tidewaiter.userRoles" -}}
{{- if .Values.rbac.userRoles }}
{{- $name := include "tidewaiter.fullname" . -}}
# Rights for people: what each command of `tidewaiter risk` needs is in docs/reference/rbac.md. Bound to nobody
# unless rbac.bind says so.
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: {{ $name }}-view
  labels:
    {{- include "tidewaiter.labels" . | nindent 4 }}
    {{- if .Values.rbac.aggregateUserRoles }}
    rbac.authorization.k8s.io/aggregate-to-view: "true"
    {{- end }}
rules:
- apiGroups: [tidewaiter.dev]
  resources: ["*"]
  verbs: [get, list, watch]
# What `tidewaiter status` compares with the policies.
- apiGroups: [admissionregistration.k8s.io]
  resources: [validatingwebhookconfigurations]
  resourceNames: [{{ .Values.webhook.configurationName | quote }}]
  verbs: [get]
---
# The rest of what `tidewaiter status` reads: what the replicas say of themselves.
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: {{ $name }}-view
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "tidewaiter.labels" . | nindent 4 }}
rules:
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [get, list]
# What was revoked, which the commands of `tidewaiter risk` judge by.
- apiGroups: [""]
  resources: [configmaps]
  resourceNames: [{{ printf "%s-revocations" .Values.webhook.configurationName | quote }}]
  verbs: [get]
---
# Asks for an acceptance, renews it, takes it back; it counts only when others approve it, as the RiskAppetite says.
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: {{ $name }}-requester
  labels:
    {{- include "tidewaiter.labels" . | nindent 4 }}
    {{- if .Values.rbac.aggregateUserRoles }}
    rbac.authorization.k8s.io/aggregate-to-edit: "true"
    rbac.authorization.k8s.io/aggregate-to-admin: "true"
    {{- end }}
rules:
- apiGroups: [tidewaiter.dev]
  resources: [riskacceptances]
  verbs: [get, list, watch, create, update, patch, delete]
- apiGroups: [tidewaiter.dev]
  resources: [riskapprovals, policies]
  verbs: [get, list, watch]
{{- include "tidewaiter.readerRules" . }}
---
# Approves, and takes back: the guard lets who did not ask change nothing else. The RiskAppetite says whose approval
# counts; bind this to the same groups.
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: {{ $name }}-approver
  labels:
    {{- include "tidewaiter.labels" . | nindent 4 }}
rules:
- apiGroups: [tidewaiter.dev]
  resources: [riskacceptances, clusterriskacceptances]
  verbs: [get, list, watch, patch]
- apiGroups: [tidewaiter.dev]
  resources: [riskapprovals, clusterriskapprovals]
  verbs: [get, list, watch, create, delete]
- apiGroups: [tidewaiter.dev]
  resources: [policies]
  verbs: [get, list, watch]
{{- include "tidewaiter.readerRules" . }}
---
# Reads everything that evidence is made of, and changes nothing. What policies judge beside workloads needs more, such
# as Kubernetes' role view.
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: {{ $name }}-auditor
  labels:
    {{- include "tidewaiter.labels" . | nindent 4 }}
rules:
- apiGroups: [tidewaiter.dev]
  resources: ["*"]
  verbs: [get, list, watch]
- apiGroups: [openreports.io, wgpolicyk8s.io]
  resources: ["*"]
  verbs: [get, list, watch]
- apiGroups: [admissionregistration.k8s.io]
  resources: [validatingwebhookconfigurations]
  resourceNames: [{{ .Values.webhook.configurationName | quote }}]
  verbs: [get]
- apiGroups: [""]
  resources: [namespaces, pods, podtemplates, replicationcontrollers]
  verbs: [get, list]
- apiGroups: [apps]
  resources: [deployments, replicasets, statefulsets, daemonsets, controllerrevisions]
  verbs: [get, list]
- apiGroups: [batch]
  resources: [jobs, cronjobs]
  verbs: [get, list]
{{- include "tidewaiter.gatekeeperReaderRules" . }}
---
# What is not in a namespace and that the commands of requesters and approvers read: for those whose role is bound in
# some namespaces only.
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: {{ $name }}-reader
  labels:
    {{- include "tidewaiter.labels" . | nindent 4 }}
rules:
{{- include "tidewaiter.readerRules" . }}
{{- $people := list }}
{{- range $role := list "requester" "approver" "auditor" }}
{{- $bound := index $.Values.rbac.bind (printf "%ss" $role) }}
{{- $subjects := include "tidewaiter.subjects" $bound }}
{{- if $subjects }}
{{- $people = append $people $subjects }}
{{- $namespaces := $bound.namespaces | default list }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata:
  name: {{ $name }}-{{ $role }}s
  labels:
    {{- include "tidewaiter.labels" $ | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: ClusterRole
  name: {{ $name }}-{{ if $namespaces }}reader{{ else }}{{ $role }}{{ end }}
subjects:
{{- $subjects }}
{{- range $namespaces }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: {{ $name }}-{{ $role }}s
  namespace: {{ . | quote }}
  labels:
    {{- include "tidewaiter.labels" $ | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: ClusterRole
  name: {{ $name }}-{{ $role }}
subjects:
{{- $subjects }}
{{- end }}
{{- end }}
{{- end }}
{{- if $people }}
---
# What the replicas say of themselves: since when the guard is in place, and the cluster's name.
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: {{ $name }}-people
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "tidewaiter.labels" . | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: Role
  name: {{ $name }}-view
subjects:
{{- range $people | uniq }}
{{- . }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
