"""Tables of the model store, for the terminal."""

from datetime import UTC, datetime

from rich.table import Table
from rich.text import Text

from flows.host.terminal import PlainTable
from flows.numeric.time import NS_PER_S
from flows.scoring.registry import ModelStore, StoreEntry
from schemas.models import Aliases, ModelManifest

# A list shows the first of these metrics that a model has.
_HEADLINES = ("pr_auc", "rmse", "mae")


def role_of(ref: str, aliases: list[Aliases]) -> str:
    """Return ``champion``, ``challenger``, ``former`` or nothing."""
    for each in aliases:
        if ref == each.champion:
            return "champion"
        if ref in each.challengers:
            return "challenger"
    return "former" if any(ref in each.history for each in aliases) else ""


def list_table(entries: list[StoreEntry], aliases: list[Aliases]) -> Table:
    """Return one row per version; broken ones with their problem."""
    table = PlainTable(box=None, pad_edge=False, header_style="bold")
    table.add_column("model", overflow="fold", no_wrap=False)
    for title in ("variant", "target", "role", "data", "created", "metric"):
        table.add_column(title)
    for entry in entries:
        role = role_of(entry.ref, aliases)
        if entry.manifest is None:
            broken = Text("broken", "red")
            table.add_row(entry.ref, broken, "", role, "", "", entry.problem or "")
            continue
        manifest = entry.manifest
        table.add_row(
            entry.ref,
            manifest.variant,
            manifest.target.name,
            Text(role, "bold") if role == "champion" else role,
            manifest.provenance,
            moment(manifest.created_ns),
            headline(manifest),
        )
    return table


def show_table(store: ModelStore, manifest: ModelManifest, role: str) -> Table:
    """Return a manifest as a table, one field per row."""
    target = manifest.target
    window = "-"
    if manifest.data_from_ns is not None and manifest.data_to_ns is not None:
        window = f"{moment(manifest.data_from_ns)} to {moment(manifest.data_to_ns)}"
    level = "" if target.level is None else f", level {target.level:.6g}"
    rows = {
        "model": manifest.ref,
        "role": role or "-",
        "variant": manifest.variant,
        "target": f"{target.name} ({target.definition}, {target.horizon_s} s{level})",
        "provenance": manifest.provenance,
        "created": moment(manifest.created_ns),
        "data": window,
        "sources": ", ".join(manifest.data_sources) or "-",
        "rows": "-" if manifest.row_count is None else f"{manifest.row_count:,}",
        "threshold": "-" if manifest.threshold is None else f"{manifest.threshold:.6g}",
        "FEATURE_SET": str(manifest.feature_set),
        "features": f"{len(manifest.features)}: {', '.join(manifest.features)}",
        "unused": ", ".join(manifest.unused_features) or "-",
        "opset": str(manifest.opset),
        "sha256": manifest.sha256,
        "files": ", ".join(store.files(manifest.ref)),
        "folder": str(store.folder(manifest.ref)),
        "notes": manifest.notes or "-",
    }
    table = PlainTable(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in rows.items():
        table.add_row(name, value)
    for name in sorted(manifest.metrics):
        table.add_row(f"metric {name}", f"{manifest.metrics[name]:.6g}")
    return table


def headline(manifest: ModelManifest) -> str:
    """Return the metric shown in a list."""
    for name in _HEADLINES:
        if name in manifest.metrics:
            return f"{name} {manifest.metrics[name]:.4g}"
    return "-"


def moment(time_ns: int) -> str:
    """Return a time in UTC to the second."""
    return f"{datetime.fromtimestamp(time_ns // NS_PER_S, tz=UTC):%Y-%m-%d %H:%M:%S}Z"
