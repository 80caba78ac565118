"""Writes the software bill of materials of an installed environment: CycloneDX 1.6, as JSON.

It lists what is installed, not what was asked for. The output says no time and no random number, so that two
builds of the same packages give the same file. Format: https://cyclonedx.org/docs/1.6/json/
"""

from __future__ import annotations

import json
import platform
import sys
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

FILE = "sbom.cdx.json"
OURS = "tidewaiter"


def bill(site: Path) -> dict[str, Any]:
    """Return the bill of the distributions in `site`.

    Args:
        site: the folder that packages are installed in.
    """
    found = sorted(distributions(path=[str(site)]), key=_name)
    names = {_name(each) for each in found}
    (ours,) = (each for each in found if _name(each) == OURS)
    python = f"pkg:generic/python@{platform.python_version()}"
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": {**_component(ours), "type": "application"}},
        "components": [
            {
                "type": "platform",
                "bom-ref": python,
                "name": "python",
                "version": platform.python_version(),
                "purl": python,
            },
            *(_component(each) for each in found if each is not ours),
        ],
        "dependencies": [
            {
                "ref": _purl(each),
                "dependsOn": [
                    *([python] if each is ours else []),
                    *(_purl(other) for other in found if _name(other) in _needed(each) & names),
                ],
            }
            for each in found
        ],
    }


def _component(distribution: Distribution) -> dict[str, Any]:
    component: dict[str, Any] = {
        "type": "library",
        "bom-ref": _purl(distribution),
        "name": _name(distribution),
        "version": distribution.version,
        "purl": _purl(distribution),
    }
    licence = distribution.metadata.get("License-Expression")
    if licence:
        return {**component, "licenses": [{"expression": licence}]}
    # Older metadata has names of licences, not expressions.
    named = [
        value.rpartition(" :: ")[2]
        for value in distribution.metadata.get_all("Classifier") or []
        if value.startswith("License :: OSI Approved :: ")
    ]
    return {**component, "licenses": [{"license": {"name": name}} for name in named]} if named else component


def _needed(distribution: Distribution) -> set[str]:
    wanted = [Requirement(text) for text in distribution.requires or []]
    return {
        canonicalize_name(each.name)
        for each in wanted
        if each.marker is None or each.marker.evaluate({"extra": ""})
    }


def _name(distribution: Distribution) -> str:
    return canonicalize_name(distribution.metadata["Name"])


def _purl(distribution: Distribution) -> str:
    return f"pkg:pypi/{_name(distribution)}@{distribution.version}"


def main(target: str) -> None:
    """Write the bill of the environment `target` into its root."""
    (site,) = Path(target).glob("lib/python3.*/site-packages")
    Path(target, FILE).write_text(json.dumps(bill(site), indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
