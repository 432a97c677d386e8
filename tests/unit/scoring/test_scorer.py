"""The scorer follows the store between two batches."""

import threading

import pytest
import structlog

from flows.errors import ModelRejectedError
from flows.scoring.scorer import Scorer, Swap
from schemas.features import FEATURE_SET
from tests.support.models import RETURN, publish_tiny, tiny
from tests.support.scorer import FORWARD, ROWS, SPIKE, broken, follow, scores_of


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
