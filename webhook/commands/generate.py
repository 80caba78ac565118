"""`tidewaiter generate`: writes the CRDs and the reference documentation from their sources."""

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
    """Write the CRDs and the reference documentation.

    The files are charts/tidewaiter/crds/*.yaml, docs/reference/api.md and docs/reference/cli.md, for those
    who change Tidewaiter's API or command line.
    """
    files = render(click.get_current_context().find_root().command)
    known = {path for path in files if path.parent == CRDS}
    stale = sorted(
        path.relative_to(root) for path in (root / CRDS).glob("*.yaml") if path.relative_to(root) not in known
    )
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
