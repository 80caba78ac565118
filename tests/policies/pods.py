"""Generates pods for the parity test from a seed: plain ones, and ones with security settings changed."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

Object = dict[str, Any]
Change = Callable[[random.Random, Object, Object], None]

APPARMOR_ANNOTATION = "container.apparmor.security.beta.kubernetes.io/"
DEFAULT_CAPABILITIES = [
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
]
OTHER_CAPABILITIES = ["NET_RAW", "NET_ADMIN", "SYS_TIME", "SYS_PTRACE", "BPF", "CAP_CHOWN", "chown", "ALL"]
SAFE_SYSCTLS = [
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.ping_group_range",
    "net.ipv4.ip_unprivileged_port_start",
]
NEWER_SYSCTLS = [
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_wmem",
    "net.ipv4.tcp_slow_start_after_idle",
    "net.ipv4.tcp_notsent_lowat",
]
UNSAFE_SYSCTLS = ["kernel.msgmax", "net.core.somaxconn", "vm.swappiness", "net.ipv4.tcp_rmem2"]
NAMESPACED_VOLUMES: list[Object] = [
    {"configMap": {"name": "settings"}},
    {"csi": {"driver": "disk.example.com"}},
    {"downwardAPI": {"items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]}},
    {"emptyDir": {}},
    {},
    {
        "ephemeral": {
            "volumeClaimTemplate": {
                "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
            }
        }
    },
    {"image": {"reference": "registry.example.com/data:1"}},
    {"persistentVolumeClaim": {"claimName": "data"}},
    {"projected": {"sources": [{"secret": {"name": "token"}}]}},
    {"secret": {"secretName": "token"}},
]
OTHER_VOLUMES: list[Object] = [
    {"nfs": {"server": "files.example.com", "path": "/data"}},
    {"awsElasticBlockStore": {"volumeID": "vol-1"}},
    {"gcePersistentDisk": {"pdName": "disk"}},
    {"azureDisk": {"diskName": "disk", "diskURI": "https://disk.example.com/disk.vhd"}},
    {"azureFile": {"secretName": "files", "shareName": "files"}},
    {"cephfs": {"monitors": ["10.0.0.9:6789"]}},
    {"cinder": {"volumeID": "disk"}},
    {"fc": {"targetWWNs": ["50060e801049cfd1"], "lun": 0}},
    {"flexVolume": {"driver": "example.com/disk"}},
    {"flocker": {"datasetName": "disk"}},
    {"gitRepo": {"repository": "https://git.example.com/shop.git"}},
    {"glusterfs": {"endpoints": "gluster", "path": "disk"}},
    {"iscsi": {"targetPortal": "10.0.0.9:3260", "iqn": "iqn.2001-04.com.example:disk", "lun": 0}},
    {"photonPersistentDisk": {"pdID": "disk"}},
    {"portworxVolume": {"volumeID": "disk"}},
    {"quobyte": {"registry": "10.0.0.9:7861", "volume": "disk"}},
    {"rbd": {"monitors": ["10.0.0.9:6789"], "image": "disk"}},
    {
        "scaleIO": {
            "gateway": "https://io.example.com",
            "system": "io",
            "secretRef": {"name": "io"},
            "volumeName": "disk",
        }
    },
    {"storageos": {"volumeName": "disk"}},
    {"vsphereVolume": {"volumePath": "disk"}},
]


PLAN = "-1-1+-1-1+-1-1+-11++"
"""Pods without a forbidden setting, with one, taken in turn from all there are, and with two to five."""


@dataclass(frozen=True)
class Generated:
    """A pod, or a pod with an ephemeral container to add, and the names of the changes made to it."""

    pod: Object
    changes: tuple[str, ...]
    ephemeral: Object | None = None


def generate(count: int, seed: int = 1) -> Iterator[Generated]:
    """Yield `count` pods; the same ones for the same seed.

    `PLAN` says which pods have forbidden settings. A few combinations are none that an API server takes;
    whoever asks one leaves them out.
    """
    rng = random.Random(seed)
    names = list(CHANGES)
    single = 0
    for number in range(count):
        kind = PLAN[number % len(PLAN)]
        chosen: list[str] = []
        if kind == "1":
            chosen = [names[single % len(names)]]
            single += 1
        elif kind == "+":
            chosen = rng.sample(names, rng.randint(2, 5))
        pod = base(rng, f"p{number}", windows="host-process" in chosen or rng.random() < 0.08)
        for name in chosen:
            CHANGES[name](rng, pod, rng.choice(_all_containers(pod)))
        yield Generated(pod, tuple(chosen))


def generate_ephemeral(count: int, bases: list[Object], seed: int = 2) -> Iterator[Generated]:
    """Yield `count` ephemeral containers to add to one of `bases` each; every second keeps to the rules."""
    rng = random.Random(seed)
    names = list(CONTAINER_CHANGES)
    for number in range(count):
        pod = copy.deepcopy(bases[number % len(bases)])
        windows = pod["spec"].get("os", {}).get("name") == "windows"
        container = _container(rng, "debug", windows)
        for part in ("ports", "livenessProbe", "readinessProbe", "lifecycle"):
            container.pop(part, None)
        if not windows and rng.random() < 0.5:
            container["securityContext"]["runAsNonRoot"] = True
        if not windows and rng.random() < 0.5:
            container["securityContext"]["seccompProfile"] = {"type": "RuntimeDefault"}
        turn = (number // len(bases)) % 4
        chosen = [] if turn % 2 == 0 else rng.sample(names, 1 if turn == 1 else rng.randint(2, 3))
        for name in chosen:
            CONTAINER_CHANGES[name](rng, pod, container)
        # What the pod itself holds can't change any more; only the container is new.
        yield Generated(bases[number % len(bases)], tuple(chosen), container)


def ephemeral_bases() -> list[Object]:
    """Return pods to add ephemeral containers to: they differ in what they set for all containers."""
    image = "registry.example.com/shop/web:1"
    strict = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    own = {**strict, "runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    shared = {"runAsNonRoot": True, "seccompProfile": {"type": "Localhost", "localhostProfile": "web.json"}}
    specs: dict[str, Object] = {
        "shared": {"securityContext": shared, "containers": [{"name": "web", "securityContext": strict}]},
        "own": {"containers": [{"name": "web", "securityContext": own}]},
        "user-namespace": {"hostUsers": False, "containers": [{"name": "web", "securityContext": own}]},
        "root-in-user-namespace": {
            "hostUsers": False,
            "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}, "runAsUser": 0},
            "containers": [{"name": "web", "securityContext": strict}],
        },
        "windows": {
            "os": {"name": "windows"},
            "securityContext": {"runAsNonRoot": True},
            "containers": [{"name": "web"}],
        },
        "plain": {"containers": [{"name": "web"}]},
    }
    pods = []
    for name, spec in specs.items():
        for container in spec["containers"]:
            container["image"] = image
        pods.append({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec})
    return pods


def base(rng: random.Random, name: str, windows: bool) -> Object:
    """Return a pod that keeps to the restricted level at every version, in one of many ways."""
    containers = [_container(rng, each, windows) for each in ("web", "proxy", "agent")[: rng.randint(1, 3)]]
    inits = [_init_container(rng, each, windows) for each in ("setup", "migrate")[: rng.choice((0, 1, 1, 2))]]
    context: Object = {}
    spec: Object = {"containers": containers, "securityContext": context}
    if inits:
        spec["initContainers"] = inits
    pod: Object = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}
    _spread(rng, pod, "runAsNonRoot", True)
    if windows:
        spec["os"] = {"name": "windows"}
        if rng.random() < 0.3:
            context["windowsOptions"] = {"runAsUserName": "ContainerUser", "hostProcess": False}
        return pod
    _spread(rng, pod, "seccompProfile", _profile(rng))
    _decorate(rng, pod)
    if not context and rng.random() < 0.5:
        del spec["securityContext"]
    return pod


def _decorate(rng: random.Random, pod: Object) -> None:
    """Add settings that every version allows."""
    spec, context = pod["spec"], pod["spec"]["securityContext"]
    if rng.random() < 0.2:
        spec["os"] = {"name": "linux"}
    if rng.random() < 0.25:
        spec["hostUsers"] = rng.random() < 0.3
    for field in ("hostNetwork", "hostPID", "hostIPC"):
        if rng.random() < 0.1:
            spec[field] = False
    if rng.random() < 0.3:
        context["runAsUser"] = rng.choice((1, 1000))
    if rng.random() < 0.2:
        context["sysctls"] = [{"name": rng.choice(SAFE_SYSCTLS), "value": "1"}]
    if rng.random() < 0.2:
        context["seLinuxOptions"] = _selinux(rng)
    if rng.random() < 0.2:
        context["appArmorProfile"] = _profile(rng)
    if rng.random() < 0.5:
        sources = rng.sample(NAMESPACED_VOLUMES, rng.randint(1, 3))
        spec["volumes"] = [
            {"name": f"volume-{index}", **copy.deepcopy(source)} for index, source in enumerate(sources)
        ]
    for container in _all_containers(pod):
        if rng.random() < 0.1:
            container["securityContext"]["appArmorProfile"] = _profile(rng)
        elif rng.random() < 0.1 and "appArmorProfile" not in context:
            value = rng.choice(("runtime/default", "localhost/web", ""))
            pod["metadata"].setdefault("annotations", {})[APPARMOR_ANNOTATION + container["name"]] = value


def _container(rng: random.Random, name: str, windows: bool) -> Object:
    container: Object = {"name": name, "image": "registry.example.com/shop/web:1", "securityContext": {}}
    if rng.random() < 0.4:
        container["ports"] = [
            {"containerPort": 8080 + len(name), **({"hostPort": 0} if rng.random() < 0.3 else {})}
        ]
    if rng.random() < 0.4:
        container["livenessProbe"] = {"httpGet": {"path": "/", "port": 8080}}
    if rng.random() < 0.2:
        container["readinessProbe"] = {"tcpSocket": {"port": 8080, "host": ""}}
    if rng.random() < 0.2:
        container["lifecycle"] = {"preStop": {"httpGet": {"port": 8080}}}
    if windows:
        return container
    context = container["securityContext"]
    context["allowPrivilegeEscalation"] = False
    context["capabilities"] = {"drop": rng.choice((["ALL"], ["NET_RAW", "ALL"]))}
    if rng.random() < 0.3:
        context["capabilities"]["add"] = rng.choice(([], ["NET_BIND_SERVICE"]))
    if rng.random() < 0.2:
        context["privileged"] = False
    if rng.random() < 0.2:
        context["procMount"] = "Default"
    if rng.random() < 0.2:
        context["runAsUser"] = rng.choice((1, 1000))
    if rng.random() < 0.2:
        context["seLinuxOptions"] = _selinux(rng)
    return container


def _init_container(rng: random.Random, name: str, windows: bool) -> Object:
    container = _container(rng, name, windows)
    if rng.random() < 0.4:
        container["restartPolicy"] = "Always"
    else:
        for part in ("livenessProbe", "readinessProbe", "lifecycle"):
            container.pop(part, None)
    return container


def _spread(rng: random.Random, pod: Object, field: str, value: Any) -> None:
    """Set `field` for the pod, for each container, or for both."""
    where = rng.choice(("pod", "containers", "both"))
    if where != "containers":
        pod["spec"]["securityContext"][field] = value
    if where != "pod":
        for container in _all_containers(pod):
            container["securityContext"][field] = copy.deepcopy(value)


def _profile(rng: random.Random) -> Object:
    if rng.random() < 0.5:
        return {"type": "RuntimeDefault"}
    return {"type": "Localhost", "localhostProfile": "web.json"}


def _selinux(rng: random.Random) -> Object:
    allowed = rng.choice(("", "container_t", "container_init_t", "container_kvm_t"))
    return {"level": "s0:c1,c2", **({"type": allowed} if allowed or rng.random() < 0.5 else {})}


def _all_containers(pod: Object) -> list[Object]:
    return [*pod["spec"].get("initContainers", ()), *pod["spec"]["containers"]]


def _security(holder: Object) -> Object:
    context = holder.setdefault("securityContext", {})
    assert isinstance(context, dict)
    return context


def _somewhere(rng: random.Random, pod: Object, container: Object) -> Object:
    """Return the security context of the pod or that of `container`."""
    return _security(pod["spec"] if rng.random() < 0.4 else container)


def _privileged(rng: random.Random, pod: Object, container: Object) -> None:
    # false and privileged together are refused by the API server.
    _security(container).pop("allowPrivilegeEscalation", None)
    _security(container)["privileged"] = True


def _host_pid(rng: random.Random, pod: Object, container: Object) -> None:
    pod["spec"]["hostPID"] = True
    pod["spec"].pop("hostUsers", None)


def _host_ipc(rng: random.Random, pod: Object, container: Object) -> None:
    pod["spec"]["hostIPC"] = True
    pod["spec"].pop("hostUsers", None)
    _security(pod["spec"]).pop("sysctls", None)


def _host_network(rng: random.Random, pod: Object, container: Object) -> None:
    pod["spec"]["hostNetwork"] = True
    pod["spec"].pop("hostUsers", None)
    _security(pod["spec"]).pop("sysctls", None)
    used = set()
    for each in _all_containers(pod):
        for port in each.get("ports", ()):
            port.pop("hostPort", None)
            port["containerPort"] = next(n for n in range(9000, 9100) if n not in used)
            used.add(port["containerPort"])
        if rng.random() < 0.8:
            each.pop("ports", None)


def _host_port(rng: random.Random, pod: Object, container: Object) -> None:
    port = rng.randint(1024, 65535)
    ports = container.setdefault("ports", [])
    ports.append({"containerPort": port, "hostPort": port, "protocol": rng.choice(("TCP", "UDP"))})


def _host_path(rng: random.Random, pod: Object, container: Object) -> None:
    _add_volume(pod, {"hostPath": {"path": rng.choice(("/", "/var/run", "/etc"))}})


def _volume_type(rng: random.Random, pod: Object, container: Object) -> None:
    _add_volume(pod, copy.deepcopy(rng.choice(OTHER_VOLUMES)))


def _add_volume(pod: Object, source: Object) -> None:
    volumes = pod["spec"].setdefault("volumes", [])
    volumes.append({"name": f"volume-{len(volumes)}", **source})


def _other_capability(rng: random.Random, pod: Object, container: Object) -> None:
    added = _security(container).setdefault("capabilities", {}).setdefault("add", [])
    added.extend(rng.sample(OTHER_CAPABILITIES, rng.randint(1, 2)))


def _default_capability(rng: random.Random, pod: Object, container: Object) -> None:
    added = _security(container).setdefault("capabilities", {}).setdefault("add", [])
    added.extend(rng.sample(DEFAULT_CAPABILITIES, rng.randint(1, 2)))


def _drop_less(rng: random.Random, pod: Object, container: Object) -> None:
    capabilities = _security(container).setdefault("capabilities", {})
    kind = rng.choice(("nothing", "empty", "one", "case", "none"))
    if kind == "none":
        del _security(container)["capabilities"]
    elif kind == "nothing":
        capabilities.pop("drop", None)
    else:
        capabilities["drop"] = {"empty": [], "one": ["NET_RAW"], "case": ["all"]}[kind]


def _apparmor(rng: random.Random, pod: Object, container: Object) -> None:
    if rng.random() < 0.3:
        _security(container).pop("appArmorProfile", None)
        _security(pod["spec"]).pop("appArmorProfile", None)
        annotations = pod["metadata"].setdefault("annotations", {})
        annotations[APPARMOR_ANNOTATION + container["name"]] = "unconfined"
    else:
        _own_apparmor(rng, pod, pod["spec"] if rng.random() < 0.4 else container)


def _own_apparmor(rng: random.Random, pod: Object, holder: Object) -> None:
    annotations = pod["metadata"].get("annotations", {})
    for key in [key for key in annotations if key.startswith(APPARMOR_ANNOTATION)]:
        del annotations[key]
    _security(holder)["appArmorProfile"] = {"type": "Unconfined"}


def _selinux_options(rng: random.Random, pod: Object, container: Object) -> None:
    _somewhere(rng, pod, container)["seLinuxOptions"] = _bad_selinux(rng)


def _own_selinux(rng: random.Random, pod: Object, container: Object) -> None:
    _security(container)["seLinuxOptions"] = _bad_selinux(rng)


def _bad_selinux(rng: random.Random) -> Object:
    return rng.choice(
        (
            {"type": "spc_t"},
            {"type": "container_engine_t", "user": "system_u"},
            {"type": "container_t", "role": "system_r"},
            {"user": "system_u", "role": "", "level": "s0"},
        )
    )


def _engine_selinux(rng: random.Random, pod: Object, container: Object) -> None:
    _somewhere(rng, pod, container)["seLinuxOptions"] = {"type": "container_engine_t"}


def _proc_mount(rng: random.Random, pod: Object, container: Object) -> None:
    # The API server takes it only in a user namespace.
    for field in ("hostNetwork", "hostPID", "hostIPC"):
        pod["spec"].pop(field, None)
    pod["spec"]["hostUsers"] = False
    _security(container)["procMount"] = "Unmasked"


def _seccomp_unconfined(rng: random.Random, pod: Object, container: Object) -> None:
    _somewhere(rng, pod, container)["seccompProfile"] = {"type": "Unconfined"}


def _own_seccomp(rng: random.Random, pod: Object, container: Object) -> None:
    _security(container)["seccompProfile"] = {"type": "Unconfined"}


def _seccomp_unset(rng: random.Random, pod: Object, container: Object) -> None:
    _security(pod["spec"]).pop("seccompProfile", None)
    _security(container).pop("seccompProfile", None)


def _unsafe_sysctl(rng: random.Random, pod: Object, container: Object) -> None:
    sysctls = _security(pod["spec"]).setdefault("sysctls", [])
    sysctls.append({"name": rng.choice(UNSAFE_SYSCTLS), "value": "1"})


def _newer_sysctl(rng: random.Random, pod: Object, container: Object) -> None:
    sysctls = _security(pod["spec"]).setdefault("sysctls", [])
    sysctls.append({"name": rng.choice(NEWER_SYSCTLS), "value": "1"})


def _host_process(rng: random.Random, pod: Object, container: Object) -> None:
    # The API server takes it only on the host network, and for all containers or none.
    _host_network(rng, pod, container)
    if rng.random() < 0.5:
        _security(pod["spec"])["windowsOptions"] = {"hostProcess": True}
    else:
        _security(pod["spec"]).pop("windowsOptions", None)
        for each in _all_containers(pod):
            _security(each)["windowsOptions"] = {"hostProcess": True}


def _probe_host(rng: random.Random, pod: Object, container: Object) -> None:
    if container in pod["spec"].get("initContainers", ()):
        container["restartPolicy"] = "Always"  # others have neither probes nor hooks
    handler = {
        rng.choice(("httpGet", "tcpSocket")): {
            "port": 8080,
            "host": rng.choice(("127.0.0.1", "db.example.com")),
        }
    }
    place = rng.choice(("livenessProbe", "readinessProbe", "startupProbe", "postStart", "preStop"))
    if place.endswith("Probe"):
        container[place] = handler
    else:
        container.setdefault("lifecycle", {})[place] = handler


def _escalation(rng: random.Random, pod: Object, container: Object) -> None:
    if rng.random() < 0.5:
        _security(container).pop("allowPrivilegeEscalation", None)
    else:
        _security(container)["allowPrivilegeEscalation"] = True


def _maybe_root(rng: random.Random, pod: Object, container: Object) -> None:
    if rng.random() < 0.5:
        _somewhere(rng, pod, container)["runAsNonRoot"] = False
    else:
        _security(pod["spec"]).pop("runAsNonRoot", None)
        _security(container).pop("runAsNonRoot", None)


def _own_maybe_root(rng: random.Random, pod: Object, container: Object) -> None:
    if rng.random() < 0.5:
        _security(container)["runAsNonRoot"] = False
    else:
        _security(container).pop("runAsNonRoot", None)


def _root(rng: random.Random, pod: Object, container: Object) -> None:
    _somewhere(rng, pod, container)["runAsUser"] = 0


def _own_root(rng: random.Random, pod: Object, container: Object) -> None:
    _security(container)["runAsUser"] = 0


def _nothing_set(rng: random.Random, pod: Object, container: Object) -> None:
    container.pop("securityContext", None)
    if rng.random() < 0.5:
        pod["spec"].pop("securityContext", None)


def _in_user_namespace(change: Change) -> Change:
    def changed(rng: random.Random, pod: Object, container: Object) -> None:
        for field in ("hostNetwork", "hostPID", "hostIPC"):
            pod["spec"].pop(field, None)
        pod["spec"]["hostUsers"] = False
        change(rng, pod, container)

    return changed


def _outside(change: Change) -> Change:
    def changed(rng: random.Random, pod: Object, container: Object) -> None:
        pod["spec"].pop("hostUsers", None)
        change(rng, pod, container)

    return changed


CHANGES: dict[str, Change] = {
    "privileged": _privileged,
    "host-pid": _host_pid,
    "host-ipc": _host_ipc,
    "host-network": _host_network,
    "host-port": _host_port,
    "host-path": _host_path,
    "other-capability": _other_capability,
    "apparmor": _apparmor,
    "selinux": _selinux_options,
    "engine-selinux": _engine_selinux,
    "proc-mount": _proc_mount,
    "seccomp-unconfined": _seccomp_unconfined,
    "unsafe-sysctl": _unsafe_sysctl,
    "newer-sysctl": _newer_sysctl,
    "host-process": _host_process,
    "probe-host": _probe_host,
    "volume-type": _volume_type,
    "escalation": _escalation,
    "maybe-root": _outside(_maybe_root),
    "root": _outside(_root),
    "maybe-root-in-user-namespace": _in_user_namespace(_maybe_root),
    "root-in-user-namespace": _in_user_namespace(_root),
    "seccomp-unset": _seccomp_unset,
    "default-capability": _default_capability,
    "drop-less": _drop_less,
    "nothing-set": _nothing_set,
}
"""Every setting that some version of some level forbids."""

CONTAINER_CHANGES: dict[str, Change] = {
    "privileged": _privileged,
    "other-capability": _other_capability,
    "apparmor": _own_apparmor,
    "selinux": _own_selinux,
    "proc-mount": _proc_mount,
    "seccomp-unconfined": _own_seccomp,
    "escalation": _escalation,
    "maybe-root": _own_maybe_root,
    "root": _own_root,
    "seccomp-unset": _seccomp_unset,
    "default-capability": _default_capability,
    "drop-less": _drop_less,
    "nothing-set": _nothing_set,
}
"""Those of them that an ephemeral container can have."""
