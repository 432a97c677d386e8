"""Recompute every published score by plain ONNX Runtime from the store's files.

A prediction holds a score for each target that has a champion, by a champion of that target, and
beside it the scores of all its challengers.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import onnxruntime

from schemas import topics
from schemas.features import INDEX, NAMES
from schemas.models import Aliases, ModelManifest
from schemas.predictions import FeatureRow, Prediction, TargetScore
from tests.oracle.expectation import Origin
from tests.proof.checker import Defect
from tests.support.kafka.tools import Message

TOLERANCE = 1e-6
_CHUNK = 4096


@dataclass
class _Claim:
    """That one row was given one score; none where it was left out."""

    origin: Origin
    target: str
    score: float | None


class Store:
    """The model store's files, read without the product's code.

    Attributes
    ----------
    aliases
        Who serves each target. Those who served it before are in the champions' history.
    """

    def __init__(self, root: Path) -> None:
        found = (
            msgspec.json.decode(path.read_bytes(), type=Aliases)
            for path in sorted(root.glob("aliases/*.json"))
        )
        self.aliases = {each.target: each for each in found if each.champion is not None}
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
    """Yield predictions that lack a score, or whose scores are not those of who is named.

    Features are the published ones (float32); they have a check of their own.
    """
    rows, values = _table(features)
    claims: dict[str, list[_Claim]] = defaultdict(list)
    for message in predictions:
        found = msgspec.json.decode(message.value, type=Prediction)
        origin = (found.partition, found.offset)
        if origin not in rows:
            yield _defect(origin, "no feature row to score")
            continue
        for target in store.aliases:
            if target not in found.scores:
                yield _defect(origin, f"no score for {target}")
        for target, said in found.scores.items():
            yield from _collect(origin, target, said, store, claims)
    for ref, claimed in claims.items():
        scores = store.score(ref, values[[rows[claim.origin] for claim in claimed]])
        for claim, score in zip(claimed, scores, strict=True):
            if claim.score is None:
                if np.isfinite(score):
                    yield _defect(claim.origin, f"no score for {claim.target} by {ref}")
            elif not abs(claim.score - score) <= TOLERANCE:
                detail = f"{claim.target} by {ref} is {claim.score!r}, recomputed {score!r}"
                yield _defect(claim.origin, detail)


def unscorable(features: Iterable[Message], store: Store) -> set[Origin]:
    """Return the rows for which a champion has no finite score."""
    rows, values = _table(features)
    if not rows:
        return set()
    finite = np.ones(len(rows), np.bool_)
    for aliases in store.aliases.values():
        finite &= np.isfinite(store.score(aliases.champion or "", values))
    return {origin for origin, at in rows.items() if not finite[at]}


def _table(features: Iterable[Message]) -> tuple[dict[Origin, int], np.ndarray]:
    """Return each origin's row in float32 values, shape (n, features)."""
    rows: dict[Origin, int] = {}
    table = []
    for message in features:
        row = msgspec.json.decode(message.value, type=FeatureRow)
        if (row.partition, row.offset) not in rows:
            rows[row.partition, row.offset] = len(table)
            table.append([np.nan if value is None else value for value in row.values])
    return rows, np.array(table, dtype=np.float32).reshape(-1, len(NAMES))


def _collect(
    origin: Origin, target: str, said: TargetScore, store: Store, claims: dict[str, list[_Claim]]
) -> Iterator[Defect]:
    ref = f"{said.model}@{said.version}"
    manifest = store.manifest(ref)
    if manifest is None:
        yield _defect(origin, f"{ref} is not in the store")
        return
    aliases = store.aliases.get(target)
    if aliases is None or ref not in {aliases.champion, *aliases.history}:
        yield _defect(origin, f"{ref} was never the champion of {target}")
        return
    if manifest.target.name != target:
        yield _defect(origin, f"{target} by {ref}, which predicts {manifest.target.name}")
    claims[ref].append(_Claim(origin, target, said.score))
    threshold = manifest.threshold
    decision = None if threshold is None else said.score >= threshold
    if said.decision != decision or said.variant != manifest.variant:
        detail = f"{target} by {ref}: decision {said.decision}, variant {said.variant}"
        yield _defect(origin, detail)
    challengers = set(aliases.challengers) - {ref}
    for shadow in said.shadow.keys() - challengers:
        yield _defect(origin, f"{shadow} is no challenger of {target}")
    for shadow in challengers:
        if store.manifest(shadow) is None:
            yield _defect(origin, f"{shadow} is not in the store")
        else:
            # Where its score is not finite, it is left out.
            claims[shadow].append(_Claim(origin, target, said.shadow.get(shadow)))


def _defect(origin: Origin, detail: str) -> Defect:
    return Defect("different", topics.PREDICTIONS, origin, detail)
