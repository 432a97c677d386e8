"""The model store by hand: ``python -m training.models list | show | promote | ...``.

A running pipeline follows every move within a quarter of a second, between two batches. Results go
to stdout, as tables or with ``--json`` as one JSON object; a refusal is one line on stderr.
"""

import getpass
import sys
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from flows.errors import ConfigurationError
from flows.host.command import on_this_machine
from flows.host.terminal import plain_console
from flows.scoring import promotion
from flows.scoring.registry import ModelStore
from flows.settings import load_settings
from schemas.models import Aliases
from training.console import command
from training.mlflow_link.importing import MLFLOW_PREFIX, import_file, import_mlflow
from training.reporting.model_tables import list_table, role_of, show_table

_A_REF = "volatility_spike-logreg@20260105T143000Z-b6a3de9d"

app = typer.Typer(
    help="List, show and move the models of the store.",
    epilog="Example: python -m training.models list --target volatility_spike",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

StoreOption = Annotated[
    Path | None,
    typer.Option(
        "--store",
        callback=on_this_machine,
        help="Folder of the model store; VOLTICK_MODEL_STORE by default.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON object instead of a table.")]
RefArgument = Annotated[str, typer.Argument(metavar="NAME@VERSION")]
SimulatedOption = Annotated[
    bool,
    typer.Option(
        "--allow-simulated",
        help="Accept a model trained on simulated data, for a simulated feed.",
    ),
]


@app.command("list", epilog="Example: python -m training.models list --target volatility_spike")
def list_models(
    target: Annotated[str | None, typer.Option(help="Only models of this target.")] = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """List every version with its role; broken ones say why."""
    opened = _open(store)
    entries = [
        entry
        for entry in opened.entries()
        if target is None or entry.manifest is None or entry.manifest.target.name == target
    ]
    aliases = [opened.aliases(name) for name in opened.targets()]
    if as_json:
        models = [
            {
                "ref": entry.ref,
                "role": role_of(entry.ref, aliases) or None,
                "manifest": entry.manifest,
                "problem": entry.problem,
            }
            for entry in entries
        ]
        _write_json({"models": models, "aliases": aliases})
        return
    if not entries:
        whose = "" if target is None else f" of the target {target}"
        typer.echo(f"no models{whose} in {opened.root}")
        return
    _print(list_table(entries, aliases))


@app.command(epilog=f"Example: python -m training.models show {_A_REF}")
def show(ref: RefArgument, store: StoreOption = None, as_json: JsonOption = False) -> None:
    """Show one version's manifest, files and role, after proving it."""
    opened = _open(store)
    manifest = promotion.prove(opened, ref).manifest
    role = role_of(ref, [opened.aliases(name) for name in opened.targets()])
    if as_json:
        _write_json(
            {
                "ref": ref,
                "role": role or None,
                "manifest": manifest,
                "files": opened.files(ref),
                "folder": str(opened.folder(ref)),
            }
        )
        return
    _print(show_table(opened, manifest, role))


@app.command(epilog=f"Example: python -m training.models promote {_A_REF}")
def promote(
    ref: RefArgument,
    target: Annotated[
        str | None, typer.Option(help="Its target; found in the manifest by default.")
    ] = None,
    allow_simulated: SimulatedOption = False,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a proven version the champion of its target."""
    opened = _open(store)
    name = opened.manifest(ref).target.name if target is None else target
    before = opened.aliases(name).champion
    moved = promotion.promote(opened, name, ref, by=_mover(), allow_simulated=allow_simulated)
    _report(moved, before, as_json=as_json)


@app.command(epilog="Example: python -m training.models rollback --target volatility_spike")
def rollback(
    target: Annotated[str, typer.Option(help="Whose former champion comes back.")],
    allow_simulated: SimulatedOption = False,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Bring the champion before this one back."""
    opened = _open(store)
    before = opened.aliases(target).champion
    moved = promotion.rollback(opened, target, by=_mover(), allow_simulated=allow_simulated)
    _report(moved, before, as_json=as_json)


@app.command(epilog=f"Example: python -m training.models shadow {_A_REF} --off")
def shadow(
    ref: RefArgument,
    off: Annotated[bool, typer.Option("--off", help="Stop its shadow scores.")] = False,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let a version score beside the champion, without deciding anything."""
    opened = _open(store)
    moved = promotion.shadow(opened, ref, by=_mover(), on=not off)
    _report(moved, moved.champion, as_json=as_json)


@app.command(epilog="Example: python -m training.models prune --keep 5")
def prune(
    keep: Annotated[
        int, typer.Option(min=1, max=1_000_000, help="Newest versions of each model that stay.")
    ] = 20,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Remove old versions that neither serve nor score in shadow nor were champions."""
    opened = _open(store)
    pinned = load_settings().model_version
    removed = opened.prune(keep, () if pinned is None else (pinned,))
    if as_json:
        _write_json({"removed": removed})
        return
    for ref in removed:
        typer.echo(f"removed {ref}")


@app.command("import", epilog="Example: python -m training.models import a.onnx --manifest a.json")
def import_model(
    source: Annotated[str, typer.Argument(metavar="FILE.onnx|mlflow:NAME/VERSION_OR_ALIAS")],
    manifest: Annotated[
        Path | None,
        typer.Option(callback=on_this_machine, help="JSON file with the model's manifest."),
    ] = None,
    output: Annotated[
        str | None, typer.Option(help="Which of the graph's outputs is the score; the first one.")
    ] = None,
    column: Annotated[
        int | None,
        typer.Option(min=0, max=10_000, help="Which column of --output is the score, from 0."),
    ] = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Prove a model from elsewhere and add it to the store."""
    opened = _open(store)
    if column is not None and output is None:
        message = f"--column {column} is of which output? Add --output NAME"
        raise ConfigurationError(message)
    if source.startswith(MLFLOW_PREFIX):
        ref = import_mlflow(opened, source, manifest, output=output, column=column)
    elif manifest is None:
        message = f"{source} needs its manifest: add --manifest FILE.json"
        raise ConfigurationError(message)
    else:
        ref = import_file(opened, Path(source), manifest, output=output, column=column)
    if as_json:
        _write_json({"ref": ref, "folder": str(opened.folder(ref))})
    else:
        typer.echo(ref)


def _open(store: Path | None) -> ModelStore:
    return ModelStore(load_settings().model_store if store is None else store)


def _mover() -> str:
    try:
        return f"cli:{getpass.getuser()}"
    except (KeyError, OSError):
        return "cli"  # a container's user may have no name


def _report(moved: Aliases, before: str | None, *, as_json: bool) -> None:
    if as_json:
        _write_json(moved)
        return
    was = "" if before == moved.champion else f" (was {before or 'none'})"
    typer.echo(f"{moved.target}: champion {moved.champion or 'none'}{was}")
    if moved.challengers:
        typer.echo(f"{moved.target}: in shadow {', '.join(moved.challengers)}")


def _write_json(content: object) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(content) + b"\n")
    sys.stdout.buffer.flush()


def _print(table: object) -> None:
    # A pipe gets whole lines: a reference cut at 80 columns is of no use to the next command.
    width = None if sys.stdout.isatty() else 400
    plain_console(width=width, soft_wrap=False, highlight=False).print(table)


def main() -> None:
    """Run the command line; an error that the operator can act on is one line, no traceback."""
    command(app)


if __name__ == "__main__":
    main()
