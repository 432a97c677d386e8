"""Moves of proven models: what the command line, the API and training use.

The store checks hashes, targets and provenance; here the graph itself must also load and score.
"""

from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType

from flows.errors import ModelRejectedError
from flows.scoring.onnx_model import OnnxModel, contract_of
from flows.scoring.registry import ModelStore
from schemas.models import Aliases, ModelManifest


def prove(store: ModelStore, ref: str) -> OnnxModel:
    """Load a version as the scorer would.

    Raises
    ------
    ModelRejectedError
        It is not in the store, broken, tampered with, or cannot serve this code.
    """
    manifest, onnx_bytes = store.read(ref)
    return OnnxModel(manifest, onnx_bytes, contract=contract_of(manifest))


def publish(
    store: ModelStore,
    manifest: ModelManifest,
    onnx_bytes: bytes,
    files: Mapping[str, bytes] = MappingProxyType({}),
) -> str:
    """Prove a model, then add it to the store; a model that fails leaves nothing there."""
    OnnxModel(manifest, onnx_bytes, contract=contract_of(manifest))
    return store.publish(manifest, onnx_bytes, files)


def promote(
    store: ModelStore,
    target: str,
    ref: str,
    *,
    by: str,
    allow_simulated: bool = False,
    instead_of: Collection[str | None] | None = None,
) -> Aliases:
    """Prove a version, then make it the champion; see :meth:`ModelStore.move`."""
    prove(store, ref)
    return store.move(
        target, champion=ref, by=by, allow_simulated=allow_simulated, instead_of=instead_of
    )


def rollback(store: ModelStore, target: str, *, by: str, allow_simulated: bool = False) -> Aliases:
    """Prove the former champion, then bring it back; errors as :meth:`ModelStore.rollback`."""
    history = store.aliases(target).history
    if not history:
        message = f"{target} has no former champion to roll back to"
        raise ModelRejectedError(message)
    prove(store, history[-1])
    return store.rollback(target, by=by, allow_simulated=allow_simulated)


def set_shadows(store: ModelStore, target: str, refs: Sequence[str], *, by: str) -> Aliases:
    """Prove versions, then let them alone score in a target's shadow."""
    for ref in refs:
        prove(store, ref)
    return store.set_challengers(target, list(refs), by=by)


def shadow(store: ModelStore, ref: str, *, by: str, on: bool = True) -> Aliases:
    """Let a proven version score in its target's shadow, or stop that."""
    if not on:
        target = next(
            (name for name in store.targets() if ref in store.aliases(name).challengers), None
        )
        if target is None:
            message = f"model {ref} scores in no target's shadow"
            raise ModelRejectedError(message)
        return store.remove_challenger(target, ref, by=by)
    model = prove(store, ref)
    return store.add_challenger(model.manifest.target.name, ref, by=by)
