"""What could not be loaded for a while serves as soon as it can."""

import pytest
import structlog

from flows.scoring.rebuilding import LONGEST_RETRY_S
from flows.scoring.scorer import Swap
from tests.support.models import publish_tiny
from tests.support.scorer import ROWS, SPIKE, follow, scores_of


@pytest.mark.parametrize("gone_s", [1.0, 60.0])
def test_a_model_that_could_not_be_loaded_for_a_while_serves_as_soon_as_it_can(
    store, scorer_of, clock, background, gone_s
):
    old, new = (publish_tiny(store, p, name=f"m{p}") for p in (0.2, 0.8))
    store.move(SPIKE, champion=old, by="test")
    scorer = scorer_of()
    store.move(SPIKE, champion=new, by="test")
    graph = store.folder(new) / "model.onnx"
    graph.rename(graph.with_suffix(".away"))
    back = clock.now + gone_s
    with structlog.testing.capture_logs() as logs:
        while clock.now < back:
            assert follow(scorer, clock, background) == ()
    assert [line["event"] for line in logs] == ["model refused"]
    graph.with_suffix(".away").rename(graph)
    swaps = []
    while not swaps and clock.now < back + LONGEST_RETRY_S + 2.0:
        swaps += follow(scorer, clock, background)
    assert swaps == [Swap(SPIKE, old, new)]
    assert scores_of(scorer) == pytest.approx({SPIKE: 0.8})
    assert scorer.status()[0].problems == ()


def test_a_former_champion_serves_only_until_the_champion_can(store, scorer_of, clock, background):
    old, new = (publish_tiny(store, p, name=f"m{p}") for p in (0.2, 0.8))
    for ref in (old, new):
        store.move(SPIKE, champion=ref, by="test")
    folder = store.folder(new)
    folder.rename(store.root / "away")
    scorer = scorer_of()
    assert scores_of(scorer) == pytest.approx({SPIKE: 0.2})
    (store.root / "away").rename(folder)
    assert follow(scorer, clock, background) == (Swap(SPIKE, old, new),)


def test_a_challenger_that_appears_late_scores(store, scorer_of, clock, background):
    champion, late = (publish_tiny(store, p, name=f"m{p}") for p in (0.2, 0.8))
    store.move(SPIKE, champion=champion, by="test")
    store.add_challenger(SPIKE, late, by="test")
    manifest = store.folder(late) / "manifest.json"
    content = manifest.read_bytes()
    manifest.write_bytes(content[:100])
    scorer = scorer_of()
    assert scorer.score(ROWS)[0].shadow == {}
    manifest.write_bytes(content)
    follow(scorer, clock, background)
    assert list(scorer.score(ROWS)[0].shadow) == [late]


def test_a_pinned_version_that_is_away_for_a_moment_goes_on_serving(
    store, scorer_of, clock, background
):
    pinned = publish_tiny(store, 0.4)
    scorer = scorer_of(pin_version=pinned)
    store.folder(pinned).rename(store.root / "away")
    publish_tiny(store, 0.6, name="other")
    assert follow(scorer, clock, background) == ()
    assert scores_of(scorer) == pytest.approx({SPIKE: 0.4})
    (store.root / "away").rename(store.folder(pinned))
    clock.now += LONGEST_RETRY_S
    follow(scorer, clock, background)
    assert scorer.status()[0].problems == ()


def test_a_store_that_appears_later_is_noticed(tmp_path, scorer_of, store, clock, background):
    ref = publish_tiny(store, 0.3)
    store.move(SPIKE, champion=ref, by="test")
    store.root.rename(tmp_path / "unmounted")
    scorer = scorer_of()
    assert scorer.score(ROWS) == []
    (tmp_path / "unmounted").rename(store.root)
    assert follow(scorer, clock, background) == (Swap(SPIKE, None, ref),)


def test_a_file_on_its_way_is_reported_once(store, scorer_of, clock, background):
    old, new = (publish_tiny(store, p, name=f"m{p}") for p in (0.2, 0.8))
    store.move(SPIKE, champion=old, by="test")
    scorer = scorer_of()
    graph = store.folder(new) / "model.onnx"
    content = graph.read_bytes()
    store.move(SPIKE, champion=new, by="test")
    with structlog.testing.capture_logs() as logs:
        for part in range(1, 5):
            graph.write_bytes(content[: part * len(content) // 5])
            clock.now += LONGEST_RETRY_S
            follow(scorer, clock, background)
    assert [line["event"] for line in logs] == ["model refused"]
