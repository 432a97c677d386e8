"""A kill between any two system calls leaves the old state or the new one, never half of it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from flows.scoring.registry import ModelStore
from tests.support.models import tiny

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[2]
TARGET = "volatility_spike"


def killed_at_every_step(operation: str, folder: Path) -> list[ModelStore]:
    done = subprocess.run(
        [sys.executable, HERE / "kill_at_every_step.py", operation, folder],
        cwd=REPOSITORY,
        env={"PYTHONPATH": str(REPOSITORY), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    answer = json.loads(done.stdout)
    assert answer["exit"] == 0, done.stderr
    return [ModelStore(Path(root)) for root in answer["stores"]]


@pytest.fixture(scope="module")
def publications(tmp_path_factory):
    return killed_at_every_step("publish", tmp_path_factory.mktemp("publish"))


@pytest.fixture(scope="module")
def moves(tmp_path_factory):
    return killed_at_every_step("move", tmp_path_factory.mktemp("move"))


def test_killed_publication_leaves_all_or_nothing(publications):
    manifest, onnx_bytes = tiny(0.8, name="new")
    assert len(publications) > 8
    seen = []
    for store in publications:
        visible = manifest.ref in store.refs()
        seen.append(visible)
        if visible:
            assert store.read(manifest.ref) == (manifest, onnx_bytes)
            assert store.file(manifest.ref, "report.html") == b"<p>"
        assert len(store.manifests()) == 2 + visible
        assert all(entry.problem is None for entry in store.entries())
    assert seen == sorted(seen)
    assert seen[0] is False
    assert seen[-1] is True


def test_next_publication_succeeds_and_clears_the_leftovers(publications):
    manifest, onnx_bytes = tiny(0.8, name="new")
    leftovers = 0
    for store in publications:
        staging = store.root / ".staging"
        leftovers += len(list(staging.iterdir()))
        store.publish(manifest, onnx_bytes, {"report.html": b"<p>"})
        store.publish(*tiny(0.9, name="newer"))
        assert list(staging.iterdir()) == []
        assert store.read(manifest.ref) == (manifest, onnx_bytes)
    assert leftovers > 0


def test_killed_move_leaves_the_old_or_the_new_champion(moves):
    assert len(moves) > 3
    names = []
    for store in moves:
        champion = store.aliases(TARGET).champion
        store.read(champion)
        names.append(champion.partition("@")[0])
    assert names == sorted(names)
    assert names[0] == "first"
    assert names[-1] == "second"


def test_next_move_completes_the_log_of_a_killed_one(moves):
    for store in moves:
        champion = store.aliases(TARGET).champion
        first, second = (next(r for r in store.refs() if r.startswith(n)) for n in ("first", "sec"))
        other = first if champion == second else second
        store.move(TARGET, champion=other, by="next")
        chain = store.moves()
        assert [move.before for move in chain[1:]] == [move.after for move in chain[:-1]]
        assert chain[-1].after == other
        assert ("victim" in {move.by for move in chain}) == (champion == second)
