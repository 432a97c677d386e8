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
    in_shadow
        Whether these versions may score beside the champion: they predict the same.
    """
    refs = {
        name: promotion.publish(store, version.manifest, version.onnx_bytes, reports[name])
        for name, version in versions.items()
    }
    target = versions[candidate].manifest.target.name
    if champion:
        promotion.promote(store, target, refs[candidate], by=BY, allow_simulated=allow_simulated)
    if not in_shadow:
        return Publication(refs, champion)
    shadows = [refs[name] for name in (candidate, baseline) if name is not None]
    present = store.aliases(target)
    ours = {split_ref(ref)[0] for ref in refs.values()}
    others = [ref for ref in present.challengers if split_ref(ref)[0] not in ours]
    kept = [ref for ref in others if _is_whole(store, ref)]
    wanted = [ref for ref in dict.fromkeys(shadows) if ref != present.champion]
    store.set_challengers(target, kept + wanted, by=BY)
    return Publication(refs, champion)


def _is_whole(store: ModelStore, ref: str) -> bool:
    try:
        promotion.prove(store, ref)
    except ModelRejectedError as error:
        structlog.get_logger().warning("a challenger is left out", model=ref, cause=str(error))
        return False
    return True
