"""`tidewaiter generate`: writes the CRDs, the reference documentation and parts of the chart."""

from __future__ import annotations

from pathlib import Path

import click

CRDS = Path("charts/tidewaiter/crds")
API = Path("docs/reference/api.md")
CLI = Path("docs/reference/cli.md")


@click.command(name="generate")
@click.option("--check", is_flag=True, help="Write nothing; exit 1 if a file differs from its source.")
@click.option(
    "--root",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    default=".",
    show_default=True,
    help="The root of the repository.",
)
def command(check: bool, root: Path) -> int:
    """Write the CRDs, the reference documentation, and the chart's packs and table of values.

    The files are charts/tidewaiter/crds/*.yaml, docs/reference/api.md and docs/reference/cli.md, for those
    who change Tidewaiter's API or command line; and charts/tidewaiter/packs and README.md, for those who
    change policies or the chart's values.
    """
    from webhook.commands import chart_files

    files = render(click.get_current_context().find_root().command) | chart_files.render(root)
    present = [*(root / CRDS).glob("*.yaml"), *(root / chart_files.PACKS).glob("*/*.yaml")]
    stale = sorted({path.relative_to(root) for path in present} - set(files))
    changed = sorted(path for path, text in files.items() if _read(root / path) != text)
    if check:
        for path in [*changed, *stale]:
            click.echo(f"{path} differs from its source: run `tidewaiter generate`", err=True)
        return 1 if changed or stale else 0
    for path in changed:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(files[path], encoding="utf-8")
        click.echo(f"wrote {path}")
    for path in stale:
        (root / path).unlink()
        click.echo(f"removed {path}")
    return 0


def render(program: click.Command) -> dict[Path, str]:
    """Return every generated file by its path in the repository.

    Args:
        program: the whole command line, whose reference is one of them.
    """
    from webhook.adapters import crds, reference
    from webhook.commands.cli_reference import render as render_cli

    files = {CRDS / name: text for name, text in crds.render_all().items()}
    files[API] = reference.render()
    files[CLI] = render_cli(program)
    return files


def _read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.is_file() else None
