"""Print the JSON Schema of every message: ``python -m schemas``, or of some: ``... tick``."""

import sys
from collections.abc import Sequence

import msgspec

from schemas.backfill import Backfill
from schemas.dead_letters import DeadLetter
from schemas.models import Aliases, ModelManifest
from schemas.predictions import FeatureRow, Outcome, Prediction
from schemas.quality import QualityPoint
from schemas.ticks import Candle, Tick
from schemas.training import TrainingResult

MESSAGES: dict[str, type[msgspec.Struct]] = {
    "tick": Tick,
    "candle": Candle,
    "feature_row": FeatureRow,
    "prediction": Prediction,
    "outcome": Outcome,
    "quality_point": QualityPoint,
    "dead_letter": DeadLetter,
    "backfill": Backfill,
    "model_manifest": ModelManifest,
    "aliases": Aliases,
    "training_result": TrainingResult,
}

EXAMPLE = "Example: python -m schemas tick prediction"


def json_schema(names: Sequence[str]) -> dict[str, object]:
    """Return one JSON Schema document (2020-12) for the named messages.

    One message is the document's own type; several are under ``$defs``, with any one allowed.
    """
    types = [MESSAGES[name] for name in names]
    refs, components = msgspec.json.schema_components(types, ref_template="#/$defs/{name}")
    body: dict[str, object] = dict(refs[0]) if len(refs) == 1 else {"anyOf": list(refs)}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **body,
        "$defs": dict(components),
    }


def main(arguments: Sequence[str]) -> int:
    """Write the schema to stdout; return the exit code."""
    if set(arguments) & {"-h", "--help"}:
        sys.stdout.write(f"python -m schemas [{'|'.join(MESSAGES)}] ...\n\n{EXAMPLE}\n")
        return 0
    unknown = [name for name in arguments if name not in MESSAGES]
    if unknown:
        sys.stderr.write(f"unknown message {unknown[0]!r}; known: {', '.join(MESSAGES)}\n")
        return 2
    document = json_schema(list(arguments) or list(MESSAGES))
    try:
        sys.stdout.write(
            msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n"
        )
        sys.stdout.flush()
    except OSError as error:
        sys.stderr.write(f"cannot write the schema: {error.strerror}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
