import errno
import fcntl
import os
import threading

import msgspec
import pytest
from structlog.testing import capture_logs

from flows.errors import ModelRejectedError, ModelStoreError
from flows.scoring.registry import ModelStore
from tests.support.models import RETURN, SPIKE, publish_tiny

TARGET = "volatility_spike"


@pytest.fixture
def refs(store):
    return [publish_tiny(store, 0.1 * n, name=f"m{n}") for n in range(1, 5)]


def test_champions_follow_each_other_and_roll_back(store, refs):
    first, second, third, _ = refs
    for ref in (first, second, third):
        store.move(TARGET, champion=ref, by="test")
    assert store.aliases(TARGET).history == [first, second]
    assert store.rollback(TARGET, by="test").champion == second
    assert store.rollback(TARGET, by="test").champion == first
    with pytest.raises(ModelRejectedError, match="no former champion"):
        store.rollback(TARGET, by="test")
    assert store.aliases(TARGET).champion == first


def test_every_move_is_logged_with_time_and_mover(store, refs, clock_ns):
    first, second, third, _ = refs
    store.move(TARGET, champion=first, by="ann")
    clock_ns.now += 5
    store.set_challengers(TARGET, [third], by="bob")
    clock_ns.now += 5
    store.move(TARGET, champion=second, by="eve")
    lines = (store.root / "aliases" / "log.ndjson").read_bytes().splitlines()
    assert [msgspec.json.decode(line) for line in lines] == [
        {
            "ts_ns": clock_ns.now - 10,
            "target": TARGET,
            "action": "champion",
            "from": None,
            "to": first,
            "challengers": [],
            "by": "ann",
        },
        {
            "ts_ns": clock_ns.now - 5,
            "target": TARGET,
            "action": "challengers",
            "from": first,
            "to": first,
            "challengers": [third],
            "by": "bob",
        },
        {
            "ts_ns": clock_ns.now,
            "target": TARGET,
            "action": "champion",
            "from": first,
            "to": second,
            "challengers": [third],
            "by": "eve",
        },
    ]


def test_move_to_the_same_champion_is_no_move(store, refs):
    store.move(TARGET, champion=refs[0], by="test")
    store.move(TARGET, champion=refs[0], by="test")
    assert len(store.moves()) == 1
    assert store.aliases(TARGET).history == []


def test_promoted_challenger_leaves_the_shadow(store, refs):
    first, second, third, _ = refs
    store.move(TARGET, champion=first, by="test")
    store.set_challengers(TARGET, [second, third], by="test")
    assert store.move(TARGET, champion=second, by="test").challengers == [third]


def test_challengers_come_and_go_one_by_one(store, refs):
    first, second, third, _ = refs
    store.move(TARGET, champion=first, by="test")
    store.add_challenger(TARGET, second, by="test")
    store.add_challenger(TARGET, third, by="test")
    store.add_challenger(TARGET, third, by="test")
    assert store.aliases(TARGET).challengers == [second, third]
    assert store.remove_challenger(TARGET, second, by="test").challengers == [third]
    with pytest.raises(ModelRejectedError, match="no challenger"):
        store.remove_challenger(TARGET, second, by="test")


def test_champion_cannot_shadow_itself(store, refs):
    store.move(TARGET, champion=refs[0], by="test")
    with pytest.raises(ModelRejectedError, match="shadow itself"):
        store.add_challenger(TARGET, refs[0], by="test")


def test_what_predicts_something_else_is_no_challenger(store, refs):
    first, second, *_ = refs
    wider = msgspec.structs.replace(SPIKE, horizon_s=300)
    other = publish_tiny(store, 0.7, name="wide", target=wider)
    store.move(TARGET, champion=first, by="test")
    store.set_challengers(TARGET, [second], by="test")
    with pytest.raises(ModelRejectedError, match=r"wide@.* predicts something else"):
        store.add_challenger(TARGET, other, by="test")
    with pytest.raises(ModelRejectedError, match="predicts something else"):
        store.set_challengers(TARGET, [second, other], by="test")
    assert store.move(TARGET, champion=other, by="test").challengers == []
    assert store.rollback(TARGET, by="test").champion == first


def test_model_of_another_target_is_refused(store):
    ref = publish_tiny(store, 0.3, target=RETURN)
    with pytest.raises(ModelRejectedError, match="predicts forward_return"):
        store.move(TARGET, champion=ref, by="test")
    with pytest.raises(ModelRejectedError, match="predicts forward_return"):
        store.add_challenger(TARGET, ref, by="test")


def test_tampered_version_is_never_promoted(store, refs):
    first, second, *_ = refs
    store.move(TARGET, champion=first, by="test")
    path = store.folder(second) / "model.onnx"
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(ModelRejectedError, match=second):
        store.move(TARGET, champion=second, by="test")
    assert store.aliases(TARGET).champion == first
    assert len(store.moves()) == 1


def test_rollback_to_a_tampered_version_is_refused_by_name(store, refs):
    first, second, *_ = refs
    store.move(TARGET, champion=first, by="test")
    store.move(TARGET, champion=second, by="test")
    (store.folder(first) / "model.onnx").write_bytes(b"")
    with pytest.raises(ModelRejectedError, match=first):
        store.rollback(TARGET, by="test")
    assert store.aliases(TARGET).champion == second


def test_simulated_model_needs_leave_to_become_champion(store):
    ref = publish_tiny(store, 0.3, provenance="simulated")
    with pytest.raises(ModelRejectedError, match="simulated"):
        store.move(TARGET, champion=ref, by="test")
    store.add_challenger(TARGET, ref, by="test")  # in shadow it harms nobody
    assert store.move(TARGET, champion=ref, by="test", allow_simulated=True).champion == ref


def test_live_feed_retires_a_simulated_champion(store, refs):
    real, other, *_ = refs
    simulated = publish_tiny(store, 0.7, name="sim", provenance="simulated")
    store.move(TARGET, champion=real, by="test")
    store.move(TARGET, champion=other, by="test")
    store.move(TARGET, champion=simulated, by="test", allow_simulated=True)
    (store.folder(other) / "model.onnx").write_bytes(b"")
    retired = store.retire_simulated(TARGET, by="launcher")
    assert (retired.champion, retired.history) == (real, [])
    assert store.retire_simulated(TARGET, by="launcher") == retired


def test_live_feed_serves_nobody_rather_than_a_simulated_model(store):
    simulated = publish_tiny(store, 0.7, name="sim", provenance="simulated")
    store.move(TARGET, champion=simulated, by="test", allow_simulated=True)
    assert store.retire_simulated(TARGET, by="launcher").champion is None


@pytest.mark.parametrize("target", ["", "../x", "a/b", "A", ".x", "x" * 65])
def test_targets_cannot_leave_the_store(store, refs, target):
    with pytest.raises(ModelRejectedError):
        store.move(target, champion=refs[0], by="test")
    with pytest.raises(ModelRejectedError):
        store.aliases(target)


def test_concurrent_movers_lose_no_update(store, refs):
    store.move(TARGET, champion=refs[0], by="test")
    added = [publish_tiny(store, 0.5, name=f"c{n}") for n in range(12)]
    failures = []

    def add(ref: str) -> None:
        # A store of its own, as another process would have.
        try:
            ModelStore(store.root).add_challenger(TARGET, ref, by=ref)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=add, args=(ref,)) for ref in added]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert sorted(store.aliases(TARGET).challengers) == sorted(added)
    moves = store.moves()
    assert sorted(move.by for move in moves[1:]) == sorted(added)
    assert [len(move.challengers) for move in moves] == list(range(13))
    times = [move.ts_ns for move in moves]
    assert times == sorted(set(times))


def test_first_installer_wins_and_the_second_agrees(store, refs):
    assert store.install(TARGET, champion=refs[0], by="one").champion == refs[0]
    assert store.install(TARGET, champion=refs[1], by="two").champion == refs[0]


def test_held_lock_ends_in_one_clear_error(store, refs):
    store.move(TARGET, champion=refs[0], by="test")
    path = store.root / "aliases" / ".lock"
    descriptor = os.open(path, os.O_RDWR)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        impatient = ModelStore(store.root, lock_timeout_s=0.02)
        with pytest.raises(ModelStoreError, match=str(path)):
            impatient.move(TARGET, champion=refs[1], by="test")
    finally:
        os.close(descriptor)
    assert store.move(TARGET, champion=refs[1], by="test").champion == refs[1]


def test_broken_alias_file_is_one_clear_error(store, refs):
    store.move(TARGET, champion=refs[0], by="test")
    path = store.root / "aliases" / f"{TARGET}.json"
    path.write_text("{")
    with pytest.raises(ModelStoreError, match=str(path)):
        store.aliases(TARGET)


def test_move_that_could_not_be_logged_is_logged_by_the_next(store, refs):
    first, second, third, _ = refs
    store.move(TARGET, champion=first, by="ann")
    store.move(TARGET, champion=second, by="bob")
    log = store.root / "aliases" / "log.ndjson"
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(lines[0] + lines[1][:25])  # bob was killed while he wrote his line
    store.move(TARGET, champion=third, by="eve")
    assert [(move.action, move.before, move.after, move.by) for move in store.moves()] == [
        ("champion", None, first, "ann"),
        ("recovered", first, second, "bob"),
        ("champion", second, third, "eve"),
    ]


def test_move_whose_line_finds_no_room_is_a_move_and_logged_by_the_next(store, refs, monkeypatch):
    first, second, third, _ = refs
    store.move(TARGET, champion=first, by="ann")

    def full(_path, _line):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched, capture_logs() as lines:
        patched.setattr("flows.scoring.aliases.append_line", full)
        assert store.move(TARGET, champion=second, by="bob").champion == second
    assert store.aliases(TARGET).champion == second
    assert [(line["champion"], line["cause"]) for line in lines] == [
        (second, "No space left on device")
    ]
    store.move(TARGET, champion=third, by="eve")
    assert [(move.action, move.before, move.after, move.by) for move in store.moves()] == [
        ("champion", None, first, "ann"),
        ("recovered", first, second, "bob"),
        ("champion", second, third, "eve"),
    ]


def test_token_changes_with_every_move_and_publication(store, refs):
    tokens = [store.change_token()]
    assert store.change_token() == tokens[0]
    for ref in refs[:2]:
        store.move(TARGET, champion=ref, by="test")
        tokens.append(store.change_token())
    store.add_challenger(TARGET, refs[2], by="test")
    tokens.append(store.change_token())
    publish_tiny(store, 0.9, name="new")
    tokens.append(store.change_token())
    assert len(set(tokens)) == len(tokens)


def test_a_model_replaces_the_champion_that_it_was_compared_with_alone(store, refs):
    first, second, third, _ = refs
    with pytest.raises(ModelRejectedError, match="meanwhile none has"):
        store.move(TARGET, champion=second, by="test", instead_of=(first,))
    store.move(TARGET, champion=first, by="test", instead_of=(None,))
    store.move(TARGET, champion=second, by="one", instead_of=(first,))
    with pytest.raises(ModelRejectedError, match=f"meanwhile {second} has"):
        store.move(TARGET, champion=third, by="two", instead_of=(first, third))
    assert store.aliases(TARGET).champion == second


def test_renewed_challengers_leave_those_of_others_and_never_the_champion(store, refs):
    first, second, third, fourth = refs
    store.set_challengers(TARGET, [first, second], by="test")
    store.move(TARGET, champion=third, by="another")
    renewed = store.renew_challengers(TARGET, [third, fourth], without=[first], by="test")
    assert (renewed.champion, renewed.challengers) == (third, [second, fourth])
    other = publish_tiny(
        store, 0.7, name="other", target=msgspec.structs.replace(SPIKE, horizon_s=120)
    )
    renewed = store.renew_challengers(TARGET, [other, first], without=[], by="test")
    assert renewed.challengers == [second, fourth, first]
