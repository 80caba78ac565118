"""The names that other tools' policies have, and the policies of our packs that say the same.

A row is only there where both judge the same field; whether they allow the same values is for the person who
finishes a draft. Names are those of Kyverno's and Gatekeeper's libraries and of Polaris' checks.
"""

from __future__ import annotations

from collections.abc import Mapping

_HOST_NAMESPACES = ("pod-no-host-pid", "pod-no-host-ipc", "pod-no-host-network")
_HOST_PORTS = ("pod-no-host-port",)
_BASELINE_CAPABILITIES = ("pod-no-extra-capabilities",)
_STRICT_CAPABILITIES = ("pod-drop-all-capabilities",)
_SECCOMP = ("pod-seccomp-not-unconfined", "pod-seccomp-required")

KYVERNO: Mapping[str, tuple[str, ...]] = {
    "disallow-privileged-containers": ("pod-no-privileged",),
    "disallow-host-namespaces": _HOST_NAMESPACES,
    "disallow-host-ports": _HOST_PORTS,
    "disallow-host-path": ("pod-no-host-path",),
    "disallow-host-process": ("pod-no-windows-hostprocess",),
    "disallow-capabilities": _BASELINE_CAPABILITIES,
    "disallow-capabilities-strict": _STRICT_CAPABILITIES,
    "disallow-proc-mount": ("pod-procmount-default",),
    "disallow-selinux": ("pod-selinux-allowed",),
    "disallow-privilege-escalation": ("pod-no-privilege-escalation",),
    "require-run-as-nonroot": ("pod-run-as-non-root",),
    "require-run-as-non-root-user": ("pod-no-root-user",),
    "restrict-apparmor-profiles": ("pod-apparmor-allowed",),
    "restrict-seccomp": ("pod-seccomp-not-unconfined",),
    "restrict-seccomp-strict": ("pod-seccomp-required",),
    "restrict-sysctls": ("pod-safe-sysctls",),
    "restrict-volume-types": ("pod-volume-types-restricted",),
}

GATEKEEPER: Mapping[str, tuple[str, ...]] = {
    "K8sPSPPrivilegedContainer": ("pod-no-privileged",),
    "K8sPSPHostNamespace": ("pod-no-host-pid", "pod-no-host-ipc"),
    "K8sPSPHostNetworkingPorts": ("pod-no-host-network", "pod-no-host-port"),
    "K8sPSPHostFilesystem": ("pod-no-host-path",),
    "K8sPSPCapabilities": (*_BASELINE_CAPABILITIES, *_STRICT_CAPABILITIES),
    "K8sPSPAppArmor": ("pod-apparmor-allowed",),
    "K8sPSPSELinuxV2": ("pod-selinux-allowed",),
    "K8sPSPProcMount": ("pod-procmount-default",),
    "K8sPSPSeccomp": _SECCOMP,
    "K8sPSPSeccompV2": _SECCOMP,
    "K8sPSPForbiddenSysctls": ("pod-safe-sysctls",),
    "K8sPSPAllowPrivilegeEscalationContainer": ("pod-no-privilege-escalation",),
    "K8sPSPAllowedUsers": ("pod-run-as-non-root", "pod-no-root-user"),
    "K8sPSPVolumeTypes": ("pod-volume-types-restricted",),
}

POLARIS: Mapping[str, tuple[str, ...]] = {
    "hostIPCSet": ("pod-no-host-ipc",),
    "hostPIDSet": ("pod-no-host-pid",),
    "hostNetworkSet": ("pod-no-host-network",),
    "hostPortSet": _HOST_PORTS,
    "hostPathSet": ("pod-no-host-path",),
    "hostProcess": ("pod-no-windows-hostprocess",),
    "procMount": ("pod-procmount-default",),
    "runAsPrivileged": ("pod-no-privileged",),
    "runAsRootAllowed": ("pod-run-as-non-root",),
    "privilegeEscalationAllowed": ("pod-no-privilege-escalation",),
    "dangerousCapabilities": _BASELINE_CAPABILITIES,
    "insecureCapabilities": _STRICT_CAPABILITIES,
}

# Security Tower writes a policy's name in lower case; where it is one of the names above, it means the same.
ANNOTATIONS: Mapping[str, tuple[str, ...]] = {
    name.lower().replace("-", ""): ours for table in (KYVERNO, GATEKEEPER) for name, ours in table.items()
}
