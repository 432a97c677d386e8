"""Recompute every published score by plain ONNX Runtime from the store's files."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import onnxruntime

from schemas import topics
from schemas.features import INDEX
from schemas.models import ModelManifest
from schemas.predictions import FeatureRow, Prediction
from tests.proof.checker import Defect
from tests.support.kafka_tools import Message
from tests.twin.expectation import Origin

TOLERANCE = 1e-6
_CHUNK = 4096


@dataclass
class _Claim:
    """That one row was given one score."""

    origin: Origin
    target: str
    score: float


class Store:
    """The model store's files, read without the product's code."""

    def __init__(self, root: Path) -> None:
        self._folders: dict[str, tuple[Path, ModelManifest]] = {}
        for path in sorted(root.glob("models/*/*/manifest.json")):
            try:
                manifest = msgspec.json.decode(path.read_bytes(), type=ModelManifest)
            except msgspec.MsgspecError:
                continue  # a broken one must not have scored; a claim to it will not be found
            self._folders[manifest.ref] = (path.parent, manifest)

    def manifest(self, ref: str) -> ModelManifest | None:
        """Return what the store says about a version, if it has it."""
        found = self._folders.get(ref)
        return found[1] if found else None

    def score(self, ref: str, values: np.ndarray) -> np.ndarray:
        """Score float32 rows of the contract, shape (n, features); returns float64, shape (n,)."""
        folder, manifest = self._folders[ref]
        content = (folder / "model.onnx").read_bytes()
        assert hashlib.sha256(content).hexdigest() == manifest.sha256, f"{ref} was tampered with"
        session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
        columns = [INDEX[name] for name in manifest.features]
        name = session.get_inputs()[0].name
        output = session.get_outputs()[0].name
        parts = [
            session.run([output], {name: np.ascontiguousarray(values[at : at + _CHUNK, columns])})[
                0
            ]
            for at in range(0, len(values), _CHUNK)
        ]
        return np.concatenate(parts).reshape(-1).astype(np.float64)


def check_scores(
    predictions: Iterable[Message], features: Iterable[Message], store: Store
) -> Iterator[Defect]:
    """Yield predictions whose scores are not those of the version they name.

    Features are the published ones (float32); they have a check of their own.
    """
    rows: dict[Origin, int] = {}
    table = []
    for message in features:
        row = msgspec.json.decode(message.value, type=FeatureRow)
        if (row.partition, row.offset) not in rows:
            rows[row.partition, row.offset] = len(table)
            table.append([np.nan if value is None else value for value in row.values])
    values = np.array(table, dtype=np.float32)
    claims: dict[str, list[_Claim]] = defaultdict(list)
    for message in predictions:
        found = msgspec.json.decode(message.value, type=Prediction)
        origin = (found.partition, found.offset)
        if origin not in rows:
            yield Defect("different", topics.PREDICTIONS, origin, "no feature row to score")
            continue
        yield from _collect(found, origin, store, claims)
    for ref, claimed in claims.items():
        scores = store.score(ref, values[[rows[claim.origin] for claim in claimed]])
        for claim, score in zip(claimed, scores, strict=True):
            if not abs(claim.score - score) <= TOLERANCE:
                detail = f"{claim.target} by {ref} is {claim.score!r}, recomputed {score!r}"
                yield Defect("different", topics.PREDICTIONS, claim.origin, detail)


def _collect(
    found: Prediction, origin: Origin, store: Store, claims: dict[str, list[_Claim]]
) -> Iterator[Defect]:
    for target, said in found.scores.items():
        ref = f"{said.model}@{said.version}"
        manifest = store.manifest(ref)
        if manifest is None:
            yield Defect("different", topics.PREDICTIONS, origin, f"{ref} is not in the store")
            continue
        claims[ref].append(_Claim(origin, target, said.score))
        threshold = manifest.threshold
        decision = None if threshold is None else said.score >= threshold
        if said.decision != decision or said.variant != manifest.variant:
            detail = f"{target} by {ref}: decision {said.decision}, variant {said.variant}"
            yield Defect("different", topics.PREDICTIONS, origin, detail)
        for shadow, score in said.shadow.items():
            if store.manifest(shadow) is None:
                yield Defect("different", topics.PREDICTIONS, origin, f"no {shadow} in the store")
            else:
                claims[shadow].append(_Claim(origin, target, score))
