"""What the control plane's commands refuse, and how it keeps time."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from webhook.cli import group
from webhook.core.errors import InputError
from webhook.operator import clock, process, together
from webhook.operator.client import Answer, ApiError
from webhook.operator.clock import settled_skew
from webhook.operator.options import Options


@pytest.fixture(autouse=True)
def _no_logs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "configure_logs", lambda level, style: None)


@pytest.mark.parametrize(
    ("known", "measured", "settled"),
    [
        (0.0, 0.4, 0.0),
        (0.0, -4.9, 0.0),
        (0.0, 5.1, 5.0),
        (5.0, 9.9, 5.0),
        (5.0, 0.1, 5.0),
        (5.0, -0.1, 0.0),
        (0.0, -61.0, -60.0),
        (-60.0, -58.0, -60.0),
    ],
)
def test_a_clock_skew_follows_no_noise(known: float, measured: float, settled: float) -> None:
    assert settled_skew(known, measured) == settled


class _Answers:
    """An API server whose answers are given; an error is raised, and the last one is given for ever."""

    def __init__(self, *answers: Answer | ApiError) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def request(self, *_: Any, **__: Any) -> Answer:
        self.asked += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, ApiError):
            raise answer
        return answer


@pytest.mark.parametrize(
    ("answers", "asked", "skew"),
    [
        ((Answer({}, 7200.0),), 1, 7200.0),
        ((ApiError(503, "", ""), Answer({}), Answer({}, -60.0)), 3, -60.0),
        ((ApiError(403, "", ""),), 5, 0.0),
    ],
    ids=["at once", "at last", "never"],
)
async def test_the_first_snapshot_waits_for_the_api_servers_clock(
    monkeypatch: pytest.MonkeyPatch, answers: Any, asked: int, skew: float
) -> None:
    monkeypatch.setattr(clock, "_AGAIN", 0.0)
    api, changed = _Answers(*answers), asyncio.Event()
    followed = clock.Clock(api, lambda: changed.set() if followed.known else None)  # type: ignore[arg-type]
    assert not followed.known
    running = asyncio.create_task(followed.run())
    await asyncio.wait_for(changed.wait(), 10)
    assert (api.asked, followed.skew) == (asked, skew)
    running.cancel()


def _options(url: str) -> Options:
    return Options(Path("snapshot"), Path("certificates"), webhook_url=url)


@pytest.mark.parametrize(
    ("url", "hosts"),
    [
        ("https://127.0.0.1:8443", ("127.0.0.1",)),
        ("https://[::1]:8443/base", ("::1",)),
        (
            "",
            (
                "tidewaiter.tidewaiter-system.svc",
                "tidewaiter.tidewaiter-system.svc.cluster.local",
                "tidewaiter.tidewaiter-system",
            ),
        ),
    ],
)
def test_the_certificate_is_for_where_the_api_server_asks(url: str, hosts: tuple[str, ...]) -> None:
    assert _options(url).hosts == hosts


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1", "127.0.0.1:8443", "https://a@b", "https://a?b", "https://"]
)
def test_a_url_that_the_api_server_would_refuse_is_refused(url: str) -> None:
    with pytest.raises(InputError, match="must be https"):
        _ = _options(url).hosts


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ({"exempt_namespaces": ("Monitoring",)}, "no name of a namespace"),
        ({"exempt_namespaces": ("",)}, "no name of a namespace"),
        ({"exempt_namespaces": ("a\n",)}, "no name of a namespace"),
        ({"exempt_users": ("",)}, "--exempt-user ''"),
        ({"exempt_users": ("jane\n",)}, "control characters"),
        ({"risk_admin_groups": ("sec\x00",)}, "--risk-admin-group"),
        ({"webhook_labels": ("a",)}, "--webhook-label 'a': must be KEY=VALUE"),
        ({"webhook_labels": ("a=b c",)}, "must be KEY=VALUE"),
        ({"webhook_labels": ("A.example.com/a=b",)}, "must be KEY=VALUE"),
        ({"webhook_labels": (f"{'a' * 254}/a=b",)}, "must be KEY=VALUE"),
        ({"webhook_labels": ("a=b\n",)}, "must be KEY=VALUE"),
        ({"webhook_labels": ("app.kubernetes.io/managed-by=me",)}, "a label that we set ourselves"),
    ],
)
def test_names_that_can_be_none_are_refused(more: dict[str, Any], problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        Options(Path("snapshot"), Path("certificates"), **more).check()


def test_labels_of_the_webhook_configuration_may_be_any_that_kubernetes_takes() -> None:
    given = ("admissions.enforcer/disabled=true", "team=", f"{'a' * 253}/{'B' * 63}={'C' * 63}")
    options = Options(Path("snapshot"), Path("certificates"), webhook_labels=given)
    options.check()
    assert options.labels == dict(each.split("=", 1) for each in given)


@pytest.mark.parametrize("text", ["", "no: kubeconfig", "{", "[]", "a: &a [*a]"])
def test_a_kubeconfig_that_is_none_is_one_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text(text)
    folders = ["--snapshot", str(tmp_path / "snapshot"), "--cert-dir", str(tmp_path / "certificates")]
    done = CliRunner().invoke(group, ["operator", "--kubeconfig", str(path), *folders])
    assert isinstance(done.exception, InputError)
    assert str(path) in str(done.exception)


def test_a_kubeconfig_that_is_missing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    for words, message in (
        (["--kubeconfig", str(tmp_path / "none")], f"{tmp_path / 'none'}: there is no such kubeconfig"),
        ([], "give --kubeconfig FILE, or set KUBECONFIG"),
    ):
        done = CliRunner().invoke(group, ["run", "--listen", "127.0.0.1:0", *words])
        assert isinstance(done.exception, InputError)
        assert message in str(done.exception)


def test_a_port_in_use_is_said() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        done = CliRunner().invoke(group, ["run", "--listen", listen])
    assert isinstance(done.exception, InputError)
    assert f"cannot listen on {listen}: Address already in use; give another --listen" in str(done.exception)


@pytest.mark.parametrize("listen", ["8443", "localhost", "127.0.0.1:99999", ":8443", "127.0.0.1:x"])
def test_an_address_that_is_none_is_refused(listen: str) -> None:
    done = CliRunner().invoke(group, ["run", "--listen", listen])
    assert isinstance(done.exception, InputError)
    assert "is no address" in str(done.exception)


def test_run_passes_on_what_the_operator_can_be_told(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Options] = []

    async def run(options: Options, _: asyncio.Event) -> None:
        told.append(options)

    monkeypatch.setattr(together.main, "run", run)
    given = {
        "--cluster": "one",
        "--webhook-name": "two",
        "--namespace": "three",
        "--failure-policy": "Ignore",
        "--max-action": "Warn",
        "--exempt-namespace": "four",
        "--exempt-user": "five",
        "--risk-admin-group": "six",
        "--guard-policy": "seven",
    }
    words = [f"{name}={value}" for name, value in given.items()]
    done = CliRunner().invoke(group, ["run", "--listen", "127.0.0.1:0", *words], standalone_mode=False)
    assert done.exception is None, done.output
    (options,) = told
    said = [
        options.cluster,
        options.webhook_name,
        options.namespace,
        options.failure_policy,
        options.max_action,
        *options.exempt_namespaces,
        *options.exempt_users,
        *options.risk_admin_groups,
        options.guard_policy,
    ]
    assert said == list(given.values())
