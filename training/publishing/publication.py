"""Put proven versions into the store and move the aliases."""

from collections.abc import Mapping
from dataclasses import dataclass

import structlog

from flows.errors import ModelRejectedError
from flows.scoring import promotion
from flows.scoring.names import split_ref
from flows.scoring.registry import ModelStore
from training.publishing.versions import Version

BY = "training"


@dataclass(frozen=True, slots=True)
class Publication:
    """Versions that were put into the store.

    Attributes
    ----------
    refs
        ``name@version`` by variant.
    champion
        Whether the candidate became the champion.
    """

    refs: dict[str, str]
    champion: bool


def publish(
    store: ModelStore,
    versions: Mapping[str, Version],
    reports: Mapping[str, Mapping[str, bytes]],
    *,
    candidate: str,
    baseline: str | None,
    champion: bool,
    instead_of: str | None,
    in_shadow: bool,
    allow_simulated: bool,
) -> Publication:
    """Publish every variant, then move the aliases once each.

    Each version appears whole or not at all; a kill in between leaves versions without an alias.
    In the champion's shadow score the best baseline and, where the gate refused it, the candidate;
    they replace older versions of themselves; other challengers stay, unless they are broken.

    Parameters
    ----------
    champion
        Whether the candidate becomes the champion.
    instead_of
        The champion that it was compared with; where another version has become champion
        meanwhile, it is published like one that the gate refused.
    in_shadow
        Whether these versions may score beside the champion: they predict the same.
    """
    refs = {
        name: promotion.publish(store, version.manifest, version.onnx_bytes, reports[name])
        for name, version in versions.items()
    }
    target = versions[candidate].manifest.target.name
    champion = champion and _promote(
        store, target, refs[candidate], instead_of, allow_simulated=allow_simulated
    )
    if not in_shadow:
        return Publication(refs, champion)
    shadows = [refs[name] for name in (candidate, baseline) if name is not None]
    ours = {split_ref(ref)[0] for ref in refs.values()}
    replaced = [
        ref
        for ref in store.aliases(target).challengers
        if split_ref(ref)[0] in ours or not _is_whole(store, ref)
    ]
    store.renew_challengers(target, list(dict.fromkeys(shadows)), without=replaced, by=BY)
    return Publication(refs, champion)


def _promote(
    store: ModelStore, target: str, ref: str, instead_of: str | None, *, allow_simulated: bool
) -> bool:
    """Make a version the champion unless another has become it; return whether it is."""
    meant = (instead_of, ref)
    try:
        promotion.promote(
            store, target, ref, by=BY, allow_simulated=allow_simulated, instead_of=meant
        )
    except ModelRejectedError as error:
        if store.aliases(target).champion in meant:
            raise
        structlog.get_logger().warning("the champion has changed", cause=str(error))
        return False
    return True


def _is_whole(store: ModelStore, ref: str) -> bool:
    try:
        promotion.prove(store, ref)
    except ModelRejectedError as error:
        structlog.get_logger().warning("a challenger is left out", model=ref, cause=str(error))
        return False
    return True
