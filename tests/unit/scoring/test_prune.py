"""Old versions leave the store; whoever serves, or may serve again, stays."""

import threading

import pytest

from flows.errors import ModelRejectedError, ModelStoreError
from flows.scoring.registry import ModelStore
from tests.support.models import CREATED_NS, publish_tiny

TARGET = "volatility_spike"


def publish_many(store: ModelStore, count: int, name: str = "tiny") -> list[str]:
    """Publish versions of one name, oldest first."""
    return [
        publish_tiny(store, 0.3, name=name, created_ns=CREATED_NS + number * 10**9)
        for number in range(count)
    ]


def test_the_newest_of_each_name_stay(store: ModelStore) -> None:
    tiny, other = publish_many(store, 5), publish_many(store, 2, "other")
    assert store.prune(2) == tiny[:3]
    assert store.refs() == sorted([*tiny[3:], *other])
    assert store.prune(2) == []
    assert list((store.root / ".staging").iterdir()) == []


def test_whoever_has_or_had_a_role_stays_however_old(store: ModelStore) -> None:
    refs = publish_many(store, 6)
    store.move(TARGET, champion=refs[0], by="test")
    store.move(TARGET, champion=refs[1], by="test")
    store.add_challenger(TARGET, refs[2], by="test")
    assert store.prune(1, protected=[refs[3]]) == [refs[4]]
    assert store.refs() == [*refs[:4], refs[5]]
    assert store.rollback(TARGET, by="test").champion == refs[0]


def test_a_removed_version_is_refused_by_name(store: ModelStore) -> None:
    refs = publish_many(store, 2)
    store.prune(1)
    with pytest.raises(ModelRejectedError, match=refs[0]):
        store.move(TARGET, champion=refs[0], by="test")
    assert publish_tiny(store, 0.3, created_ns=CREATED_NS) == refs[0]  # as if it were new


def test_a_store_that_cannot_be_written_is_an_error_of_the_store(store: ModelStore) -> None:
    refs = publish_many(store, 2)
    (store.root / "aliases" / ".lock").mkdir(parents=True)  # no file's mode stops root
    with pytest.raises(ModelStoreError, match=r"cannot write .*aliases: Is a directory"):
        store.prune(1)
    assert store.refs() == refs


def test_nobody_is_promoted_while_versions_are_removed(store: ModelStore, monkeypatch) -> None:
    refs = publish_many(store, 2)
    remove = ModelStore.remove
    said: list[str] = []

    def promote() -> None:
        try:
            store.move(TARGET, champion=refs[0], by="test")
        except ModelRejectedError as error:
            said.append(str(error))

    mover = threading.Thread(target=promote)

    def remove_beside_a_mover(self: ModelStore, ref: str) -> None:
        mover.start()
        remove(self, ref)

    monkeypatch.setattr(ModelStore, "remove", remove_beside_a_mover)
    assert store.prune(1) == [refs[0]]
    mover.join(30)
    assert store.aliases(TARGET).champion is None
    assert refs[0] in said[0]


def test_at_least_one_version_stays(store: ModelStore) -> None:
    publish_many(store, 1)
    with pytest.raises(ModelStoreError, match="cannot keep 0 versions"):
        store.prune(0)


def test_an_empty_store_has_nothing_to_remove(store: ModelStore) -> None:
    assert store.prune(1) == []
