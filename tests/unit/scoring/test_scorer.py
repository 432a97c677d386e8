import threading

import numpy as np
import pytest
import structlog

from flows.errors import ModelRejectedError, ModelStoreError
from flows.scoring.rebuilding import LONGEST_RETRY_S
from flows.scoring.scorer import Scorer, Swap
from schemas.features import FEATURE_SET, NAMES
from tests.support.models import RETURN, manifest_for, publish_tiny, tiny

SPIKE = "volatility_spike"
FORWARD = "forward_return"
ROWS = np.zeros((4, len(NAMES)), dtype=np.float32)


class Seconds:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Background:
    """Holds the loading job until the test runs it."""

    def __init__(self) -> None:
        self.jobs = []

    def __call__(self, job) -> None:
        self.jobs.append(job)

    def run(self) -> None:
        jobs, self.jobs = self.jobs, []
        for job in jobs:
            job()


@pytest.fixture
def clock():
    return Seconds()


@pytest.fixture
def background():
    return Background()


@pytest.fixture
def scorer_of(store, clock, background):
    def make(targets=(SPIKE, FORWARD), **options):
        return Scorer(store, targets, clock=clock, run_in_background=background, **options)

    return make


def follow(scorer, clock, background):
    """Poll until the store's present state is taken over."""
    clock.now += 1.0
    assert scorer.poll() == ()
    background.run()
    return scorer.poll()


def scores_of(scorer):
    return {each.target: each.scores[0] for each in scorer.score(ROWS)}


def test_target_without_champion_is_left_out(store, scorer_of):
    store.move(SPIKE, champion=publish_tiny(store, 0.3), by="test")
    assert list(scores_of(scorer_of())) == [SPIKE]


def test_empty_store_scores_nothing_until_there_is_a_model(store, scorer_of, clock, background):
    scorer = scorer_of()
    assert scorer.score(ROWS) == []
    ref = publish_tiny(store, 0.3)
    store.move(SPIKE, champion=ref, by="test")
    assert follow(scorer, clock, background) == (Swap(SPIKE, None, ref),)
    assert scores_of(scorer) == pytest.approx({SPIKE: 0.3})


def test_both_targets_are_scored_at_once_with_their_manifests(store, scorer_of):
    spike = publish_tiny(store, 0.6, threshold=0.55)
    forward = publish_tiny(store, -2e-4, target=RETURN)
    store.move(SPIKE, champion=spike, by="test")
    store.move(FORWARD, champion=forward, by="test")
    first, second = scorer_of().score(ROWS)
    assert (first.target, first.kind, first.manifest.ref) == (SPIKE, "classification", spike)
    assert (first.threshold, first.decisions.tolist()) == (0.55, [True] * 4)
    assert (second.target, second.kind, second.manifest.ref) == (FORWARD, "regression", forward)
    assert second.decisions is None
    assert second.scores == pytest.approx([-2e-4] * 4)


def test_challengers_score_in_shadow(store, scorer_of):
    champion, *others = (publish_tiny(store, p, name=f"m{p}") for p in (0.2, 0.4, 0.6))
    store.move(SPIKE, champion=champion, by="test")
    store.set_challengers(SPIKE, others, by="test")
    (target,) = scorer_of().score(ROWS)
    assert target.manifest.ref == champion
    assert {ref: scores[0] for ref, scores in target.shadow.items()} == pytest.approx(
        {others[0]: 0.4, others[1]: 0.6}
    )


def test_swap_happens_between_two_batches_only(store, scorer_of, clock, background):
    old, new = (publish_tiny(store, p, name=f"m{p}") for p in (0.2, 0.8))
    store.move(SPIKE, champion=old, by="test")
    scorer = scorer_of()
    store.move(SPIKE, champion=new, by="test")
    clock.now += 1.0
    assert scorer.poll() == ()
    assert scores_of(scorer) == pytest.approx({SPIKE: 0.2})
    background.run()
    # Loaded and proven, but nobody polled: batches in between keep their model.
    assert scores_of(scorer) == pytest.approx({SPIKE: 0.2})
    assert scorer.poll() == (Swap(SPIKE, old, new),)
    assert scores_of(scorer) == pytest.approx({SPIKE: 0.8})
    assert scorer.poll() == ()


def test_store_is_looked_at_no_more_often_than_the_interval(store, scorer_of, clock, background):
    store.move(SPIKE, champion=publish_tiny(store, 0.2), by="test")
    scorer = scorer_of(poll_interval_s=0.25)
    store.move(SPIKE, champion=publish_tiny(store, 0.8, name="new"), by="test")
    clock.now = 0.24
    scorer.poll()
    assert background.jobs == []
    clock.now = 0.25
    scorer.poll()
    scorer.poll()
    assert len(background.jobs) == 1


def test_unchanged_store_loads_nothing(store, scorer_of, clock, background):
    store.move(SPIKE, champion=publish_tiny(store, 0.2), by="test")
    scorer = scorer_of()
    scorer._builder.build = None
    for _ in range(5):
        assert follow(scorer, clock, background) == ()


def test_move_during_loading_is_followed_afterwards(store, scorer_of, clock, background):
    refs = [publish_tiny(store, p, name=f"m{p}") for p in (0.2, 0.4, 0.6)]
    store.move(SPIKE, champion=refs[0], by="test")
    scorer = scorer_of()
    store.move(SPIKE, champion=refs[1], by="test")
    clock.now += 1.0
    scorer.poll()
    background.run()
    store.move(SPIKE, champion=refs[2], by="test")
    assert scorer.poll() == (Swap(SPIKE, refs[0], refs[1]),)
    assert follow(scorer, clock, background) == (Swap(SPIKE, refs[1], refs[2]),)


def broken(store, ref):
    (store.folder(ref) / "model.onnx").write_bytes(b"broken")


def test_tampered_model_keeps_the_old_one_and_is_reported_once(store, scorer_of, clock, background):
    old, bad = (publish_tiny(store, p, name=f"m{p}") for p in (0.2, 0.8))
    store.move(SPIKE, champion=old, by="test")
    scorer = scorer_of()
    store.move(SPIKE, champion=bad, by="test")
    broken(store, bad)
    with structlog.testing.capture_logs() as logs:
        assert follow(scorer, clock, background) == ()
        publish_tiny(store, 0.5, name="unrelated")
        assert follow(scorer, clock, background) == ()
    (line,) = logs
    assert line["log_level"] == "error"
    assert (line["model"], line["serving"]) == (bad, old)
    assert bad in line["reason"]
    assert scores_of(scorer) == pytest.approx({SPIKE: 0.2})
    (spike, _) = scorer.status()
    assert spike.champion.ref == old
    assert bad in spike.problems[0]


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


def test_a_store_that_hangs_does_not_hold_up_scoring(store, scorer_of, clock, background):
    store.move(SPIKE, champion=publish_tiny(store, 0.2), by="test")
    scorer = scorer_of()
    for _ in range(5):
        clock.now += 1.0
        assert scorer.poll() == ()  # the look at the store has not come back
    assert len(background.jobs) == 1
    assert scores_of(scorer) == pytest.approx({SPIKE: 0.2})


def test_foreign_feature_set_is_not_loaded_and_said_so(store, scorer_of, clock, background):
    old = publish_tiny(store, 0.2)
    foreign = publish_tiny(store, 0.8, name="foreign", feature_set=FEATURE_SET + 1)
    store.move(SPIKE, champion=old, by="test")
    scorer = scorer_of()
    store.move(SPIKE, champion=foreign, by="test")
    with structlog.testing.capture_logs() as logs:
        follow(scorer, clock, background)
    assert f"FEATURE_SET {FEATURE_SET + 1}" in logs[0]["reason"]
    assert scores_of(scorer) == pytest.approx({SPIKE: 0.2})


def test_broken_challenger_is_left_out_alone(store, scorer_of):
    champion, good, bad = (publish_tiny(store, p, name=f"m{p}") for p in (0.2, 0.4, 0.6))
    store.move(SPIKE, champion=champion, by="test")
    store.set_challengers(SPIKE, [good, bad], by="test")
    broken(store, bad)
    (target,) = scorer_of().score(ROWS)
    assert list(target.shadow) == [good]


def test_start_with_a_broken_champion_takes_the_one_before(store, scorer_of):
    refs = [publish_tiny(store, p, name=f"m{p}") for p in (0.2, 0.4, 0.6)]
    for ref in refs:
        store.move(SPIKE, champion=ref, by="test")
    broken(store, refs[2])
    with structlog.testing.capture_logs() as logs:
        scorer = scorer_of()
    assert scores_of(scorer) == pytest.approx({SPIKE: 0.4})
    assert refs[2] in logs[0]["reason"]


def test_start_without_any_usable_model_is_refused_by_name(store, scorer_of):
    ref = publish_tiny(store, 0.2)
    store.move(SPIKE, champion=ref, by="test")
    broken(store, ref)
    with pytest.raises(ModelRejectedError, match=ref):
        scorer_of()


def test_start_with_unreadable_aliases_is_refused(store, scorer_of):
    store.move(SPIKE, champion=publish_tiny(store, 0.2), by="test")
    (store.root / "aliases" / f"{SPIKE}.json").write_text("{")
    with pytest.raises(ModelRejectedError, match="not an alias file"):
        scorer_of()


def test_unreadable_aliases_keep_the_old_model(store, scorer_of, clock, background):
    store.move(SPIKE, champion=publish_tiny(store, 0.2), by="test")
    scorer = scorer_of()
    (store.root / "aliases" / f"{SPIKE}.json").write_text("{")
    with structlog.testing.capture_logs() as logs:
        follow(scorer, clock, background)
    assert "not an alias file" in logs[0]["reason"]
    assert scores_of(scorer) == pytest.approx({SPIKE: 0.2})


def test_retired_champion_stops_scoring(store, scorer_of, clock, background):
    ref = publish_tiny(store, 0.2, provenance="simulated")
    store.move(SPIKE, champion=ref, by="test", allow_simulated=True)
    scorer = scorer_of(allow_simulated=True)
    assert scores_of(scorer) == pytest.approx({SPIKE: 0.2})
    store.retire_simulated(SPIKE, by="test")
    assert follow(scorer, clock, background) == (Swap(SPIKE, ref, None),)
    assert scorer.score(ROWS) == []


def test_simulated_champion_does_not_serve_a_live_feed(store, scorer_of):
    real = publish_tiny(store, 0.2)
    simulated = publish_tiny(store, 0.8, name="sim", provenance="simulated")
    store.move(SPIKE, champion=real, by="test")
    store.move(SPIKE, champion=simulated, by="test", allow_simulated=True)
    assert scores_of(scorer_of(allow_simulated=True)) == pytest.approx({SPIKE: 0.8})
    assert scores_of(scorer_of(allow_simulated=False)) == pytest.approx({SPIKE: 0.2})


def test_promoted_simulated_challenger_does_not_slip_in(store, scorer_of, clock, background):
    real = publish_tiny(store, 0.2)
    simulated = publish_tiny(store, 0.8, name="sim", provenance="simulated")
    store.move(SPIKE, champion=real, by="test")
    store.add_challenger(SPIKE, simulated, by="test")
    scorer = scorer_of()
    assert list(scorer.score(ROWS)[0].shadow) == [simulated]
    store.move(SPIKE, champion=simulated, by="test", allow_simulated=True)
    follow(scorer, clock, background)
    assert scores_of(scorer) == pytest.approx({SPIKE: 0.2})


def test_pinned_version_serves_whatever_the_alias_says(store, scorer_of, clock, background):
    first, second, third = (publish_tiny(store, p, name=f"m{p}") for p in (0.2, 0.4, 0.6))
    forward = publish_tiny(store, 1e-4, target=RETURN)
    store.move(SPIKE, champion=first, by="test")
    store.move(FORWARD, champion=forward, by="test")
    store.set_challengers(SPIKE, [second, third], by="test")
    scorer = scorer_of(pin_version=second)
    assert scores_of(scorer) == pytest.approx({SPIKE: 0.4, FORWARD: 1e-4})
    assert list(scorer.score(ROWS)[0].shadow) == [third]
    store.move(SPIKE, champion=third, by="test")
    assert follow(scorer, clock, background) == ()
    assert scores_of(scorer)[SPIKE] == pytest.approx(0.4)


def test_pinned_variant_follows_its_newest_version(store, scorer_of, clock, background):
    champion = publish_tiny(store, 0.2, variant="gbt")
    old = publish_tiny(store, 0.4, variant="logreg")
    store.move(SPIKE, champion=champion, by="test")
    scorer = scorer_of(pin_variant="logreg")
    assert scores_of(scorer) == pytest.approx({SPIKE: 0.4})
    later = manifest_for(b"").created_ns + 10**12
    new = publish_tiny(store, 0.6, variant="logreg", created_ns=later)
    assert follow(scorer, clock, background) == (Swap(SPIKE, old, new),)


def test_pin_of_what_is_not_there_is_refused_by_name(store, scorer_of):
    ref = publish_tiny(store, 0.2, variant="logreg")
    with pytest.raises(ModelRejectedError, match="gone@20260101T000000Z-00000000"):
        scorer_of(pin_version="gone@20260101T000000Z-00000000")
    with pytest.raises(ModelRejectedError, match="names no model"):
        scorer_of(pin_version="logreg")
    with pytest.raises(ModelStoreError, match=r"xgboost.*logreg"):
        scorer_of(pin_variant="xgboost")
    with pytest.raises(ModelRejectedError, match=SPIKE):
        scorer_of(targets=(FORWARD,), pin_version=ref)


def test_broken_pin_is_refused_not_replaced(store, scorer_of):
    champion, pinned = (publish_tiny(store, p, name=f"m{p}") for p in (0.2, 0.4))
    store.move(SPIKE, champion=champion, by="test")
    broken(store, pinned)
    with pytest.raises(ModelRejectedError, match=pinned):
        scorer_of(pin_version=pinned)


def test_unforeseen_failure_while_loading_is_not_swallowed(store, scorer_of, clock, background):
    store.move(SPIKE, champion=publish_tiny(store, 0.2), by="test")
    scorer = scorer_of()
    publish_tiny(store, 0.4, name="new")
    clock.now += 1.0
    scorer.poll()
    scorer._builder.build = None
    background.run()
    with pytest.raises(TypeError):
        scorer.poll()


def test_scoring_goes_on_while_models_are_loaded_in_a_thread(store):
    refs = [publish_tiny(store, p, name=f"m{p}") for p in (0.2, 0.8)]
    store.move(SPIKE, champion=refs[0], by="test")
    started = []

    def in_thread(job) -> None:
        started.append(threading.Thread(target=job))
        started[-1].start()

    scorer = Scorer(store, (SPIKE,), poll_interval_s=0.0, run_in_background=in_thread)
    store.move(SPIKE, champion=refs[1], by="test")
    versions = []
    for _ in range(1_000_000):
        (target,) = scorer.score(ROWS)
        assert len(set(target.scores.tolist())) == 1
        expected = 0.2 if target.manifest.ref == refs[0] else 0.8
        assert target.scores[0] == pytest.approx(expected)
        versions.append(target.manifest.ref)
        if target.manifest.ref == refs[1]:
            break
        scorer.poll()
    assert len(set(versions)) == 2
    assert versions.index(refs[1]) == len(versions) - 1
    for thread in started:
        thread.join()


def test_status_names_champion_and_challengers(store, scorer_of):
    champion, other = (publish_tiny(store, p, name=f"m{p}") for p in (0.2, 0.4))
    store.move(SPIKE, champion=champion, by="test")
    store.add_challenger(SPIKE, other, by="test")
    spike, forward = scorer_of().status()
    assert (spike.target, spike.champion, spike.challengers) == (
        SPIKE,
        tiny(0.2, name="m0.2")[0],
        (other,),
    )
    assert (forward.target, forward.champion, forward.problems) == (FORWARD, None, ())
