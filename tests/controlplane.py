"""A real Kubernetes control plane on loopback for tests: etcd, kube-apiserver and, if asked, controllers."""

from __future__ import annotations

import base64
import ctypes
import datetime
import ipaddress
import json
import os
import signal
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

START_TIMEOUT = 120.0
STOP_TIMEOUT = 15.0


class ControlPlane:
    """etcd and kube-apiserver (and kube-controller-manager) with an admin's kubeconfig; a context manager.

    ServiceAccount admission is off, so that Pods need no token; PodSecurity is on, as by default. Requests
    are in `audit_log`, with their annotations. Nothing outlives the process that started it.

    Args:
        assets: the folder with the binaries, as ``KUBEBUILDER_ASSETS`` names it.
        workdir: an own folder for data, keys and logs; made when missing.
        kcm: also start kube-controller-manager: Deployments get their ReplicaSets and Pods.
        extra_apiserver: more flags for kube-apiserver; the last of two equal ones holds.

    Attributes:
        url: where the API server listens.
        kubeconfig: the admin's kubeconfig, certificates inside.
        ca_file: the certificate authority of the API server and of its clients.
        cert_file: the admin's certificate.
        key_file: its key.
        audit_log: the API server's audit log, one JSON event a line.
    """

    def __init__(
        self,
        assets: Path | str,
        workdir: Path | str,
        kcm: bool = False,
        extra_apiserver: Sequence[str] = (),
    ) -> None:
        self.assets = Path(assets).resolve()
        self.workdir = Path(workdir).resolve()
        self.audit_log = self.workdir / "audit.log"
        self.ca_file = self.workdir / "ca.crt"
        self.cert_file = self.workdir / "admin.crt"
        self.key_file = self.workdir / "admin.key"
        self.kubeconfig = self.workdir / "admin.kubeconfig"
        self.url = ""
        self._with_controllers = kcm
        self._extra = tuple(extra_apiserver)
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._opener: urllib.request.OpenerDirector | None = None

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End everything that was started, the last one first."""
        for process in reversed(self._processes.values()):
            process.terminate()
            try:
                process.wait(STOP_TIMEOUT)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._processes.clear()

    def restart(self, name: str, number: int = signal.SIGTERM) -> None:
        """Stop one of the programs by a signal, start it again as it was, and wait until the API answers.

        Args:
            name: such as ``kube-apiserver`` or ``etcd``.
            number: the signal.
        """
        process = self._processes[name]
        words = process.args
        process.send_signal(number)
        process.wait(START_TIMEOUT)
        assert isinstance(words, list)
        self._spawn(name, *(str(word) for word in words[1:]))
        self._wait_for("/readyz")

    def kubectl(
        self,
        *args: str,
        input: str | bytes | None = None,  # noqa: A002 - subprocess.run's own name
        check: bool = False,
    ) -> subprocess.CompletedProcess[str]:
        """Run kubectl as the admin and return how it ended, with its output as text.

        Args:
            args: its arguments.
            input: what it reads from standard input, for ``-f -``.
            check: a failure is an AssertionError that shows what it said.
        """
        text = input.decode() if isinstance(input, bytes) else input
        done = subprocess.run(
            [self.assets / "kubectl", "--kubeconfig", self.kubeconfig, *args],
            input=text,
            stdin=subprocess.DEVNULL if text is None else None,
            capture_output=True,
            text=True,
            timeout=120,
            env={"HOME": str(self.workdir), "PATH": os.environ.get("PATH", "")},
            check=False,
        )
        if check and done.returncode:
            raise AssertionError(
                f"kubectl {' '.join(args)}: status {done.returncode}\n{done.stdout}{done.stderr}"
            )
        return done

    def request(
        self, method: str, path: str, body: Any = None, content_type: str = "application/json"
    ) -> tuple[int, Any]:
        """Send one request as the admin; return its HTTP status and the decoded JSON (or the text)."""
        assert self._opener is not None
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            self.url + path, data, {"Content-Type": content_type, "Accept": "application/json"}, method=method
        )
        try:
            with self._opener.open(request, timeout=30) as answer:
                status, raw = answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                status, raw = error.code, error.read()
        try:
            return status, json.loads(raw)
        except ValueError:
            return status, raw.decode(errors="replace")

    def audit_events(self) -> list[dict[str, Any]]:
        """Return the audit log's events so far."""
        lines = self.audit_log.read_bytes().split(b"\n")
        return [json.loads(line) for line in lines[:-1]]

    def _start(self) -> None:
        self.workdir.mkdir(parents=True, exist_ok=True)
        etcd_port, peer_port, port = _free_ports(3)
        self.url = f"https://127.0.0.1:{port}"
        self._write_identities()
        self._start_etcd(etcd_port, peer_port)
        self._start_apiserver(etcd_port, port)
        self._wait_for("/readyz")
        # /readyz says nothing of the namespaces that a loop of the API server makes.
        self._wait_for("/api/v1/namespaces/default")
        if self._with_controllers:
            self._start_controllers()
            self._wait_for("/api/v1/namespaces/default/serviceaccounts/default")

    def _write_identities(self) -> None:
        authority = self._authority = _Authority()
        server_cert, server_key = authority.issue(
            "kube-apiserver",
            hosts=("localhost", "kubernetes.default.svc", "127.0.0.1", "10.0.0.1"),
        )
        admin_cert, admin_key = authority.issue("test-admin", organizations=("system:masters",))
        self._write("ca.crt", authority.pem)
        self._write("apiserver.crt", server_cert)
        self._write("apiserver.key", server_key)
        self._write("admin.crt", admin_cert)
        self._write("admin.key", admin_key)
        self._write("serviceaccounts.key", _key_pem(ec.generate_private_key(ec.SECP256R1())))
        self._write_kubeconfig(self.kubeconfig.name, admin_cert, admin_key)
        context = ssl.create_default_context(cafile=str(self.ca_file))
        context.load_cert_chain(self.cert_file, self.key_file)
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
        )

    def kubeconfig_of(self, user: str, *groups: str) -> Path:
        """Return the kubeconfig of a person, who holds nothing but what is bound to them or their groups."""
        certificate, key = self._authority.issue(user, organizations=groups)
        return self._write_kubeconfig(f"{user}.kubeconfig", certificate, key)

    def _write_kubeconfig(self, name: str, certificate: bytes, key: bytes) -> Path:
        user = {"client-certificate-data": _base64(certificate), "client-key-data": _base64(key)}
        cluster = {"server": self.url, "certificate-authority-data": _base64(self._authority.pem)}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "admin"}}],
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": "admin", "user": user}],
        }
        self._write(name, json.dumps(config).encode())
        return self.workdir / name

    def _start_etcd(self, port: int, peer_port: int) -> None:
        client, peer = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{peer_port}"
        self._spawn(
            "etcd",
            f"--data-dir={self.workdir / 'etcd'}",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
            "--unsafe-no-fsync=true",
            "--log-level=warn",
        )

    def _start_apiserver(self, etcd_port: int, port: int) -> None:
        audit_policy = {
            "apiVersion": "audit.k8s.io/v1",
            "kind": "Policy",
            "omitStages": ["RequestReceived"],
            "rules": [{"level": "None", "users": ["system:apiserver"]}, {"level": "Metadata"}],
        }
        self._write("audit-policy.json", json.dumps(audit_policy).encode())
        self._spawn(
            "kube-apiserver",
            f"--etcd-servers=http://127.0.0.1:{etcd_port}",
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",
            f"--secure-port={port}",
            f"--cert-dir={self.workdir}",
            f"--tls-cert-file={self.workdir / 'apiserver.crt'}",
            f"--tls-private-key-file={self.workdir / 'apiserver.key'}",
            f"--client-ca-file={self.ca_file}",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={self.workdir / 'serviceaccounts.key'}",
            f"--service-account-signing-key-file={self.workdir / 'serviceaccounts.key'}",
            "--service-cluster-ip-range=10.0.0.0/24",
            "--authorization-mode=RBAC",
            "--endpoint-reconciler-type=none",
            "--disable-admission-plugins=ServiceAccount",
            "--allow-privileged=true",
            "--profiling=false",
            f"--audit-policy-file={self.workdir / 'audit-policy.json'}",
            f"--audit-log-path={self.audit_log}",
            "--audit-log-mode=blocking",
            "--v=1",
            *self._extra,
        )

    def _start_controllers(self) -> None:
        self._spawn(
            "kube-controller-manager",
            f"--kubeconfig={self.kubeconfig}",
            "--leader-elect=false",
            "--secure-port=0",
            f"--service-account-private-key-file={self.workdir / 'serviceaccounts.key'}",
            f"--root-ca-file={self.ca_file}",
            "--use-service-account-credentials=true",
            # Left alone it makes a folder in /usr/libexec.
            f"--flex-volume-plugin-dir={self.workdir / 'flexvolume'}",
            "--controllers=*,-nodeipam,-nodelifecycle",
            "--v=1",
        )

    def _spawn(self, name: str, *args: str) -> None:
        with (self.workdir / f"{name}.log").open("ab") as log:
            self._processes[name] = subprocess.Popen(
                [self.assets / name, *args],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.workdir,
                start_new_session=True,  # Ctrl-C is for the tests, which stop these in order
                preexec_fn=_die_with_parent,
            )

    def _wait_for(self, path: str) -> None:
        deadline = time.monotonic() + START_TIMEOUT
        while True:
            for name, process in self._processes.items():
                if process.poll() is not None:
                    log = (self.workdir / f"{name}.log").read_text(errors="replace")
                    raise RuntimeError(f"{name} ended with status {process.returncode}:\n{log[-3000:]}")
            try:
                status, answer = self.request("GET", path)
            except OSError as error:
                status, answer = 0, str(error)
            if status == 200:
                return
            if time.monotonic() > deadline:
                raise TimeoutError(f"{path} did not become ready in {START_TIMEOUT:.0f} s: {status} {answer}")
            time.sleep(0.05)

    def _write(self, name: str, data: bytes) -> None:
        path = self.workdir / name
        path.touch(mode=0o600)
        path.write_bytes(data)


class _Authority:
    """A certificate authority that lives as long as the test."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test-ca")])
        certificate = (
            _certificate(self._name, self._name, self._key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.pem = certificate.public_bytes(serialization.Encoding.PEM)

    def issue(
        self, name: str, organizations: Sequence[str] = (), hosts: Sequence[str] = ()
    ) -> tuple[bytes, bytes]:
        """Return certificate and key as PEM: a server's when it has hosts, else a client's."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name(
            [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in organizations]
            + [x509.NameAttribute(NameOID.COMMON_NAME, name)]
        )
        usage = ExtendedKeyUsageOID.SERVER_AUTH if hosts else ExtendedKeyUsageOID.CLIENT_AUTH
        builder = _certificate(subject, self._name, key.public_key()).add_extension(
            x509.ExtendedKeyUsage([usage]), critical=False
        )
        if hosts:
            names = x509.SubjectAlternativeName([_general_name(host) for host in hosts])
            builder = builder.add_extension(names, critical=False)
        certificate = builder.sign(self._key, hashes.SHA256())
        return certificate.public_bytes(serialization.Encoding.PEM), _key_pem(key)


def _certificate(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
    )


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    # kube-apiserver takes a service account key only in this form.
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def _die_with_parent() -> None:
    # prctl(PR_SET_PDEATHSIG): a killed test run leaves nothing behind.
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)
