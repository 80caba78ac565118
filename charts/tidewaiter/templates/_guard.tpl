{{- define "tidewaiter.guard" -}}
{{- if .Values.risk.admissionPolicy }}
{{- $name := printf "%s-guard" .Values.webhook.configurationName -}}
{{- $administrators := .Values.risk.administratorGroups | default (list "system:masters") -}}
# The floor of the guard of the risk kinds: it holds while no Pod of ours runs, and where the webhook configuration
# is gone. What needs a second object, such as the digest, is judged by the webhook and whenever an acceptance is
# used. An update that leaves the spec as it is always passes: a finalizer must be able to go.
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata:
  name: {{ $name }}-acceptances
  labels:
    {{- include "tidewaiter.labels" . | nindent 4 }}
spec:
  failurePolicy: Fail
  matchConstraints:
    resourceRules:
    - apiGroups: [tidewaiter.dev]
      apiVersions: [v1alpha1]
      operations: [CREATE, UPDATE]
      resources: [riskacceptances, clusterriskacceptances]
  variables:
  - name: user
    expression: request.userInfo.username
  - name: keeps
    expression: request.operation == 'UPDATE' && object.spec == oldObject.spec
  # Whoever may write may take an acceptance back. As `dyn`: fields of a schema can't be gone through.
  - name: revokes
    expression: >-
      request.operation == 'UPDATE' && has(object.spec.revoked) && !has(oldObject.spec.revoked) &&
      dyn(oldObject.spec).all(name, name in dyn(object.spec)) &&
      dyn(object.spec).all(name, name == 'revoked' || (name in dyn(oldObject.spec) &&
      dyn(object.spec)[name] == dyn(oldObject.spec)[name]))
  validations:
  - expression: >-
      variables.keeps || variables.revokes || has(object.spec.appliedBy) || object.spec.requester == variables.user
    messageExpression: >-
      'spec.requester must be ' + variables.user + ', who writes this, not ' + object.spec.requester +
      ': each writes their own; what a service account brings must say so in spec.appliedBy'
    reason: Forbidden
  - expression: >-
      variables.keeps || variables.revokes || !has(object.spec.appliedBy) || object.spec.appliedBy == variables.user
    messageExpression: >-
      'spec.appliedBy must be ' + variables.user + ', who writes this, not ' + object.spec.appliedBy +
      ', or be left out'
    reason: Forbidden
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata:
  name: {{ $name }}-acceptances
  labels:
    {{- include "tidewaiter.labels" . | nindent 4 }}
spec:
  policyName: {{ $name }}-acceptances
  validationActions: [Deny]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata:
  name: {{ $name }}-approvals
  labels:
    {{- include "tidewaiter.labels" . | nindent 4 }}
spec:
  failurePolicy: Fail
  matchConstraints:
    resourceRules:
    - apiGroups: [tidewaiter.dev]
      apiVersions: [v1alpha1]
      operations: [CREATE, UPDATE]
      resources: [riskapprovals, clusterriskapprovals]
  variables:
  - name: user
    expression: request.userInfo.username
  - name: groups
    expression: "has(request.userInfo.groups) ? request.userInfo.groups : []"
  - name: judged
    expression: >-
      request.operation == 'CREATE' && !has(object.spec.appliedBy) && !has(object.spec.signature)
  validations:
  - expression: request.operation != 'UPDATE' || object.spec == oldObject.spec
    message: "an approval never changes: delete it and give a new one"
    reason: Forbidden
  - expression: "!variables.judged || object.spec.approver == variables.user"
    messageExpression: >-
      'spec.approver must be ' + variables.user + ', who writes this, not ' + object.spec.approver +
      ': each gives their own; what a service account brings is signed, or says so in spec.appliedBy'
    reason: Forbidden
  - expression: "!variables.judged || !has(object.spec.groups) || object.spec.groups.all(g, g in variables.groups)"
    messageExpression: >-
      'spec.groups: ' + variables.user + ' is not in ' +
      object.spec.groups.filter(g, !(g in variables.groups)).join(', ')
    reason: Forbidden
  - expression: >-
      !variables.judged || (timestamp(object.spec.approvedAt) <=
      timestamp(object.metadata.creationTimestamp) + duration('1m') && timestamp(object.spec.approvedAt) >=
      timestamp(object.metadata.creationTimestamp) - duration('15m'))
    messageExpression: >-
      'spec.approvedAt: an approval is given when it is written, now ' + string(object.metadata.creationTimestamp)
    reason: Invalid
  # A signature holds whoever brings it.
  - expression: >-
      request.operation != 'CREATE' || has(object.spec.signature) || !has(object.spec.appliedBy) ||
      object.spec.appliedBy == variables.user
    messageExpression: >-
      'spec.appliedBy must be ' + variables.user + ', who writes this, not ' + object.spec.appliedBy +
      ', or be left out'
    reason: Forbidden
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata:
  name: {{ $name }}-approvals
  labels:
    {{- include "tidewaiter.labels" . | nindent 4 }}
spec:
  policyName: {{ $name }}-approvals
  validationActions: [Deny]
---
# Who may bring what others wrote, as the RiskAppetite says.
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata:
  name: {{ $name }}-appliers
  labels:
    {{- include "tidewaiter.labels" . | nindent 4 }}
spec:
  failurePolicy: Fail
  paramKind:
    apiVersion: tidewaiter.dev/v1alpha1
    kind: RiskAppetite
  matchConstraints:
    resourceRules:
    - apiGroups: [tidewaiter.dev]
      apiVersions: [v1alpha1]
      operations: [CREATE, UPDATE]
      resources: [riskacceptances, clusterriskacceptances, riskapprovals, clusterriskapprovals]
  variables:
  - name: user
    expression: request.userInfo.username
  - name: revokes
    expression: >-
      request.operation == 'UPDATE' && 'revoked' in dyn(object.spec) && !('revoked' in dyn(oldObject.spec))
  validations:
  - expression: >-
      !has(object.spec.appliedBy) || 'signature' in dyn(object.spec) ||
      (request.operation == 'UPDATE' && object.spec == oldObject.spec) || variables.revokes || (has(params.spec.trustedAppliers) && params.spec.trustedAppliers.exists(applier,
      applier.user == object.spec.appliedBy && request.namespace in applier.namespaces))
    messageExpression: >-
      'spec.appliedBy: the RiskAppetite lists no ' + object.spec.appliedBy +
      ' for this namespace under spec.trustedAppliers'
    reason: Forbidden
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata:
  name: {{ $name }}-appliers
  labels:
    {{- include "tidewaiter.labels" . | nindent 4 }}
spec:
  policyName: {{ $name }}-appliers
  # Without a RiskAppetite nothing is in force, and what says appliedBy counts only while its account is listed. To
  # deny here would keep finalizers from going, and one folder in Git from bringing appetite and acceptances.
  paramRef:
    name: default
    parameterNotFoundAction: Allow
  validationActions: [Deny]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata:
  name: {{ $name }}-appetite
  labels:
    {{- include "tidewaiter.labels" . | nindent 4 }}
spec:
  failurePolicy: Fail
  matchConstraints:
    resourceRules:
    - apiGroups: [tidewaiter.dev]
      apiVersions: [v1alpha1]
      operations: [CREATE, UPDATE, DELETE]
      resources: [riskappetites]
  variables:
  - name: user
    expression: request.userInfo.username
  - name: groups
    expression: "has(request.userInfo.groups) ? request.userInfo.groups : []"
  - name: keeps
    expression: request.operation == 'UPDATE' && object.?spec == oldObject.?spec
  - name: narrows
    expression: >-
      request.operation != 'CREATE' && has(oldObject.spec.administrators) &&
      has(oldObject.spec.administrators.groups) && size(oldObject.spec.administrators.groups) > 0
  validations:
  - expression: >-
      variables.keeps || variables.groups.exists(g, g in {{ $administrators | toJson }})
    messageExpression: >-
      variables.user + ' is in none of the groups that may change the RiskAppetite, as the installation names them: ' +
      {{ $administrators | toJson }}.join(', ')
    reason: Forbidden
  - expression: >-
      variables.keeps || !variables.narrows ||
      variables.groups.exists(g, g in oldObject.spec.administrators.groups)
    messageExpression: >-
      variables.user + ' is in none of the groups that may change this, as spec.administrators names them'
    reason: Forbidden
  - expression: >-
      request.operation != 'DELETE' || !has(oldObject.spec.revoked) || size(oldObject.spec.revoked) == 0
    message: "spec.revoked: what is revoked stays revoked: keep this, without rules it accepts nothing"
    reason: Forbidden
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata:
  name: {{ $name }}-appetite
  labels:
    {{- include "tidewaiter.labels" . | nindent 4 }}
spec:
  policyName: {{ $name }}-appetite
  validationActions: [Deny]
{{- end }}
{{- end }}
