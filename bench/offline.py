"""What `tidewaiter check` costs on 1,000 and 4,000 Pods by ten policies: python -m bench.offline."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import yaml

from bench.evaluate import policy
from bench.fixtures import POLICIES, deployment
from bench.report import Figure, median_of, show
from bench.start import child_cpu


def write_pods(folder: Path, number: int) -> None:
    """Write that many Pods, a hundred to a file."""
    folder.mkdir()
    whole = deployment()
    template = whole["spec"]["template"]
    labels = {**whole["metadata"]["labels"], **template["metadata"].get("labels", {})}
    pods = [
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                **template["metadata"],
                "labels": labels,
                "name": f"pod-{position:05}",
                "namespace": "shop",
            },
            "spec": template["spec"],
        }
        for position in range(number)
    ]
    for start in range(0, number, 100):
        text = yaml.dump_all(pods[start : start + 100], Dumper=_Plain, sort_keys=False)
        (folder / f"pods-{start:05}.yaml").write_text(text)


class _Plain(yaml.CSafeDumper):
    """Writes manifests as people do: without anchors."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def run() -> list[Figure]:
    """Measure the whole command, start included."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        policies = root / "policies.yaml"
        rule = {"rule": {"apiGroups": [""], "resources": ["pods"]}}
        documents = [
            policy(f"policy-{number}", text.replace("object.spec.template.spec", "object.spec"), **rule)
            for number, text in enumerate(POLICIES)
        ]
        for document in documents:
            validation = document["spec"]["validations"][0]
            if "replicas" in validation["expression"]:  # a Pod has none
                validation["expression"] = "object.spec.terminationGracePeriodSeconds <= 60"
        policies.write_text(yaml.safe_dump_all(documents))
        sizes = (1000, 4000)
        spent = {}
        for size in sizes:
            write_pods(root / str(size), size)
            arguments = ("check", str(root / str(size)), "--policies", str(policies), "-o", "json")
            spent[size] = median_of(lambda arguments=arguments: child_cpu(*arguments), 3)
    return [
        Figure("check of 1,000 Pods by ten policies", spent[1000], "s", bar=3.0, note="start included"),
        Figure("each further 1,000", (spent[4000] - spent[1000]) / 3 / spent[1000], "x", bar=1.05),
    ]


if __name__ == "__main__":
    sys.exit(not show(run()))
