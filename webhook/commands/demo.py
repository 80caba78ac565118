"""`tidewaiter demo`: starts the webhook on loopback and shows every kind of verdict, without a cluster."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from webhook.core.errors import InputError

if TYPE_CHECKING:
    from webhook.server.showcase import Case

POLICIES, REVIEWS = Path("policies"), Path("examples/reviews")

_START_SECONDS = 60.0
_LISTENING = re.compile(r" listening address=(\S+)")


@click.command(name="demo")
@click.option(
    "--once", is_flag=True, help="Stop after the table; exit status 0 only when all was as expected."
)
@click.option(
    "--listen",
    metavar="HOST:PORT",
    default="127.0.0.1:0",
    show_default=True,
    help="Where to serve; port 0 takes a free one.",
)
def command(once: bool, listen: str) -> int:
    """Show every kind of verdict, without a cluster.

    Starts `tidewaiter serve` over TLS on loopback with the shipped policies, sends it the AdmissionReviews in
    examples/reviews, shows what it answers, and keeps serving until Ctrl-C.
    """
    root = _find_root()
    with contextlib.suppress(ValueError):  # not in a main thread: then the caller handles signals
        signal.signal(signal.SIGTERM, _terminate)
    with tempfile.TemporaryDirectory(prefix="tidewaiter-demo-") as name:
        try:
            return _show(root, Path(name), once, listen)
        except KeyboardInterrupt:
            return 0  # this is how the demonstration is ended


def _terminate(number: int, _frame: object) -> NoReturn:
    sys.exit(128 + number)


def _find_root() -> Path:
    """Return the folder that holds the policies and the examples: here, or where this package lies."""
    for root in (Path(), Path(__file__).resolve().parents[2]):
        if (root / POLICIES).is_dir() and (root / REVIEWS).is_dir():
            return root
    raise InputError(f"{POLICIES} and {REVIEWS} are not here: run it in a checkout of Tidewaiter")


def _show(root: Path, folder: Path, once: bool, listen: str) -> int:
    import yaml

    from webhook.adapters import manifests
    from webhook.server.selfsigned import write_pair
    from webhook.server.showcase import moved, read_cases

    cases = read_cases(root / REVIEWS)
    tls = write_pair(folder)
    documents = manifests.read([str(root / REVIEWS / "acceptances.yaml")])
    if documents.errors:
        raise documents.errors[0]
    acceptances = folder / "acceptances.yaml"
    copies = moved(document.object for document in documents)
    acceptances.write_text(yaml.safe_dump_all(copies, sort_keys=False), encoding="utf-8")
    words = ["serve", "--listen", listen, "--tls-cert", tls.certificate, "--tls-key", tls.key]
    for path in (root / POLICIES, root / REVIEWS / "policies.yaml", acceptances):
        words += ["--policies", str(path)]
    words += ["--trust-approvals", "--drain-seconds", "0"]
    with _Server(words) as server:
        responses = [_send(server.address, tls.certificate, case.review) for case in cases]
        differing = _print_table(cases, responses)
        if once:
            return 1 if differing else 0
        _print_how_to_go_on(server.address, folder, cases, acceptances)
        server.show_log()
        return server.process.wait()


class _Server:
    """The webhook as a process of its own, and its log."""

    def __init__(self, words: list[str]) -> None:
        self.address = ""
        self.process = subprocess.Popen(  # noqa: S603 - ourselves, with words made here
            [sys.executable, "-m", "webhook", *words],
            stderr=subprocess.PIPE,
            text=True,
        )
        self._lines: list[str] = []
        self._shown = False
        self._listening = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> _Server:  # noqa: PYI034 - private, and never subclassed
        self._reader.start()
        self._listening.wait(_START_SECONDS)
        if not self.address:
            self.__exit__()
            raise InputError(f"the webhook did not start: {' '.join(self._lines[-3:]) or 'it says nothing'}")
        return self

    def _read(self) -> None:
        assert self.process.stderr is not None  # noqa: S101 - a pipe, see above
        for line in self.process.stderr:
            if self._shown:
                print(line, end="", file=sys.stderr, flush=True)
            else:
                self._lines.append(line.strip().removeprefix("error: "))
            if match := _LISTENING.search(line):
                self.address = match[1]
                self._listening.set()
        self._listening.set()

    def show_log(self) -> None:
        """Print what it logs from now on."""
        self._shown = True

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait()
        self._reader.join()
        assert self.process.stderr is not None  # noqa: S101 - a pipe, see above
        self.process.stderr.close()


def _send(address: str, authority: str, review: Mapping[str, Any]) -> dict[str, Any]:
    """Send one AdmissionReview as the API server would, and return the response in the answer."""
    import ssl
    from http.client import HTTPSConnection

    context = ssl.create_default_context(cafile=authority)
    with contextlib.closing(HTTPSConnection(address, context=context, timeout=30)) as connection:
        headers = {"Content-Type": "application/json"}
        connection.request("POST", "/admit?timeout=10s", json.dumps(review), headers)
        answer = connection.getresponse()
        body = answer.read()
    if answer.status != 200:
        raise InputError(f"the webhook answered HTTP {answer.status}: {body.decode(errors='replace')[:500]}")
    response: dict[str, Any] = json.loads(body)["response"]
    return response


def _print_table(cases: list[Case], responses: list[dict[str, Any]]) -> int:
    """Print a row for each case; return how many verdicts were not the expected ones."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(width=None if sys.stdout.isatty() else 140, highlight=False)
    table = Table(
        title="Tidewaiter answers AdmissionReviews", title_justify="left", show_lines=True, expand=True
    )
    for heading, ratio in (("case", 5), ("expected", 2), ("verdict", 3), ("what the user is told", 12)):
        table.add_column(heading, ratio=ratio, overflow="fold")
    differing = 0
    for number, (case, response) in enumerate(zip(cases, responses, strict=True), 1):
        differences = case.differences(response)
        differing += bool(differences)
        told = (response.get("status") or {}).get("message") or "\n".join(
            f"Warning: {warning}" for warning in response.get("warnings") or []
        )
        if differences:
            told += "\nNOT AS EXPECTED: " + "; ".join(differences)
        table.add_row(
            f"{number}. {case.title}",
            "allowed" if case.allowed else "denied",
            Text(_verdict(response), style="green" if response["allowed"] else "red"),
            Text(told, style="bold red" if differences else ""),
        )
    console.print(table)
    if differing:
        console.print(f"{differing} of {len(cases)} verdicts were not the expected ones.", style="bold red")
    else:
        console.print(f"All {len(cases)} verdicts were the expected ones.")
    console.print(
        "Acceptances expire, so the demonstration reads copies of examples/reviews/acceptances.yaml: their\n"
        "dates are moved to today and their approvals bound to the copies. In a cluster the API server says\n"
        "who approved; here approvals in files count because the server was started with --trust-approvals."
    )
    return differing


def _verdict(response: Mapping[str, Any]) -> str:
    from webhook.server.showcase import accepted_in

    if not response["allowed"]:
        return "denied"
    if any(accepted_in(response)):
        return "allowed: risk accepted"
    return "allowed with a warning" if response.get("warnings") else "allowed"


def _print_how_to_go_on(address: str, folder: Path, cases: list[Case], acceptances: Path) -> None:
    denied = next(case for case in cases if not case.allowed)
    review = folder / "review.json"
    review.write_text(json.dumps(denied.review), encoding="utf-8")
    print(
        f"\nServing on https://{address}/admit until Ctrl-C. Ask it yourself:\n\n"
        f"  curl --cacert {folder / 'tls.crt'} --header 'Content-Type: application/json' \\\n"
        f"    --data @{review} 'https://{address}/admit?timeout=10s'\n\n"
        f"Change a date in {acceptances} and ask again: the file is read anew within a second,\n"
        f"and an approval that doesn't match counts no more. Metrics: https://{address}/metrics\n",
        flush=True,
    )
