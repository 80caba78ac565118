"""External data: who is asked, with which certificate, what is remembered, and what a failure means."""

from __future__ import annotations

import base64
import contextlib
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.controlplane import _Authority
from tests.core.builders import namespace, pod, request
from tests.gatekeeper.gk import cel_template, constraint, snapshot
from webhook.adapters.external_data import FAILURE_TTL, TTL, ExternalData
from webhook.core.constraint import ExternalLacking, Found, Review
from webhook.core.errors import CompileError
from webhook.core.match import EVERY_POLICY, PolicyIndex
from webhook.core.snapshot import Snapshot
from webhook.core.verdict import Verdict
from webhook.dialects.gatekeeper.config import Provider, parse_provider
from webhook.server.current import Current
from webhook.server.deadline import Deadline
from webhook.server.judging import Judge
from webhook.server.providers import ProviderClient


class Service:
    """A provider: answers over TLS, wants a client certificate, and counts what it is asked."""

    def __init__(self, folder: Path) -> None:
        self.asked: list[list[str]] = []
        self.answer: Any = None
        authority, self.others = _Authority(), _Authority()
        self.ca = authority.pem
        self.files = {}
        for name, hosts in (("server", ["127.0.0.1"]), ("client", [])):
            certificate, key = authority.issue(name, hosts=hosts)
            paths = folder / f"{name}.crt", folder / f"{name}.key"
            for path, data in zip(paths, (certificate, key), strict=True):
                path.write_bytes(data)
            self.files[name] = tuple(map(str, paths))
        self.url = ""

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Service]:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cadata=self.ca.decode())
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_cert_chain(*self.files["server"])
        app = web.Application()
        app.router.add_post("/validate", self._post)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
        await site.start()
        self.url = f"https://127.0.0.1:{runner.addresses[0][1]}/validate"
        try:
            yield self
        finally:
            await runner.cleanup()

    async def _post(self, asked: web.Request) -> web.Response:
        body = await asked.json()
        assert (body["apiVersion"], body["kind"]) == ("externaldata.gatekeeper.sh/v1beta1", "ProviderRequest")
        keys = body["request"]["keys"]
        self.asked.append(keys)
        items = [
            {"key": key, "error": "bad"} if "bad" in key else {"key": key, "value": f"{key}!"} for key in keys
        ]
        answer = {"apiVersion": body["apiVersion"], "kind": "ProviderResponse", "response": {"items": items}}
        return web.json_response(self.answer if self.answer is not None else answer)

    def manifest(self, **spec: Any) -> dict[str, Any]:
        bundle = base64.b64encode(self.ca).decode()
        return {
            "apiVersion": "externaldata.gatekeeper.sh/v1beta1",
            "kind": "Provider",
            "metadata": {"name": "images"},
            "spec": {"url": self.url, "timeout": 2, "caBundle": bundle, **spec},
        }


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    async with Service(tmp_path).running() as running:
        yield running


def asking(service: Service, *keys: str) -> Snapshot:
    """Return a snapshot whose one constraint denies with what the provider says."""

    def judge(review: Review) -> Sequence[Found]:
        assert review.external is not None
        said: Mapping[str, Any] = review.external("images", keys)
        return [Found(f"{said['responses']} {said['errors']} {said['status_code']} {said['system_error']}")]

    made = snapshot(namespace(), cel_template(), constraint(), service.manifest())
    (policy,) = made.policies
    assert policy.constraint is not None
    asks = replace(policy, constraint=replace(policy.constraint, judge=judge))
    return replace(made, policies=(asks,), index=PolicyIndex((asks,)))


async def judged(around: Snapshot, client: ProviderClient | None) -> Verdict:
    given = Judge(Current(around), providers=client)(request(pod()), EVERY_POLICY, Deadline(10))
    return given if isinstance(given, Verdict) else await given()


async def test_a_provider_is_asked_once_and_remembered(service: Service) -> None:
    around, client = asking(service, "a", "bad", "c"), ProviderClient(*service.files["client"])
    for _ in range(2):
        verdict = await judged(around, client)
        assert verdict.message == "[refused] [['a', 'a!'], ['c', 'c!']] [['bad', 'bad']] 200 "
        assert not verdict.lacking
    assert service.asked == [["a", "bad", "c"]]


async def test_without_our_certificate_the_provider_refuses_and_the_template_is_told(
    service: Service,
) -> None:
    verdict = await judged(asking(service, "a"), ProviderClient())
    assert "None None 500 failed to send external data request" in verdict.message
    assert service.asked == []


async def test_a_provider_of_another_authority_is_not_believed(service: Service) -> None:
    service.ca = service.others.pem
    verdict = await judged(asking(service, "a"), ProviderClient(*service.files["client"]))
    assert "None None 500 failed to send external data request" in verdict.message


@pytest.mark.parametrize("answer", [[], {"response": None}, {"response": {"systemError": "down"}}])
async def test_an_answer_that_is_none_is_a_system_error(service: Service, answer: Any) -> None:
    service.answer = answer
    verdict = await judged(asking(service, "a"), ProviderClient(*service.files["client"]))
    assert verdict.message.startswith("[refused] [] [] 200 ")


async def test_where_nobody_can_be_asked_it_denies(service: Service) -> None:
    verdict = await judged(asking(service, "a"), None)
    assert verdict.message == "[refused] external data of the provider images is not known"


def known(clock: list[float]) -> ExternalData:
    data = ExternalData(lambda: clock[0])
    data.know([Provider("images", "https://p.example.com", 1, b"")])
    return data


def test_what_is_known_ends() -> None:
    clock = [0.0]
    data = known(clock)
    with pytest.raises(ExternalLacking):
        data("images", ["a"])
    data.learn("images", ["a", "b"], {"response": {"items": [{"key": "a", "value": 1}]}})
    assert data("images", ["a"])["responses"] == [["a", 1]]
    unsaid = data("images", ["b"])
    assert (unsaid["responses"], unsaid["errors"], unsaid["system_error"]) == ([], [], "")
    clock[0] = FAILURE_TTL + 1
    with pytest.raises(ExternalLacking):
        data("images", ["b"])
    clock[0] = TTL + 1
    with pytest.raises(ExternalLacking) as lacking:
        data("images", ["a"])
    assert (lacking.value.provider, lacking.value.keys) == ("images", ("a",))
    data.fail("images", ["a"], 500, "down")
    assert data("images", ["a"])["system_error"] == "down"
    clock[0] += FAILURE_TTL + 1
    with pytest.raises(ExternalLacking):
        data("images", ["a"])


def test_a_changed_provider_is_asked_anew_and_an_unknown_one_never() -> None:
    data = known([0.0])
    data.learn("images", ["a"], {"response": {"items": [{"key": "a", "value": 1}]}})
    data.know([Provider("images", "https://other.example.com", 1, b"")])
    with pytest.raises(ExternalLacking):
        data("images", ["a"])
    data.know([])
    assert data("images", ["a"]) == {
        "responses": None,
        "errors": None,
        "status_code": 400,
        "system_error": "key is not found in provider cache",
    }


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ({"url": "http://p.example.com"}, "only the https scheme"),
        ({"url": ""}, "only the https scheme"),
        ({"timeout": 0}, "greater than 0"),
        ({"caBundle": "%"}, "must be base64"),
        ({"caBundle": "eA=="}, "no PEM certificate"),
    ],
)
def test_a_provider_that_can_not_be_used_says_why(tmp_path: Path, spec: Any, why: str) -> None:
    service = Service(tmp_path)
    service.url = "https://p.example.com"
    with pytest.raises(CompileError, match=why):
        parse_provider(service.manifest(**spec))
