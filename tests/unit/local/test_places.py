"""Runs without a place for models: on a read-only mount, as a user who may write nothing."""

import os
from pathlib import Path

import pytest
import structlog

from flows.errors import ModelStoreError
from flows.local import launcher
from flows.local.supervisor import Supervisor
from flows.pipeline import _scorer
from flows.scoring.registry import ModelStore
from flows.scoring.versions import VersionStore
from flows.settings import Settings
from tests.support.models import publish_tiny

SPIKE = "volatility_spike"


@pytest.fixture
def read_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the operating system refuse to write into any store."""

    def refuse(self: VersionStore, *_rest: object) -> str:
        message = f"model store: cannot write {self.root}: Read-only file system"
        raise ModelStoreError(message)

    monkeypatch.setattr(os, "access", lambda *_: False)
    monkeypatch.setattr(VersionStore, "publish", refuse)


@pytest.mark.usefixtures("read_only")
def test_an_empty_store_that_cannot_be_written_starts_without_scores(tmp_path: Path) -> None:
    with structlog.testing.capture_logs() as logs:
        scorer = _scorer(Settings(model_store=tmp_path))
    assert [status.champion for status in scorer.status()] == [None, None]
    [line] = [line for line in logs if line["log_level"] == "warning"]
    assert "cannot be changed" in line["event"]
    assert "Read-only file system" in line["cause"]


def test_a_store_on_a_read_only_mount_serves(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    store = ModelStore(tmp_path)
    ref = publish_tiny(store, 0.3)
    store.move(SPIKE, champion=ref, by="test")
    request.getfixturevalue("read_only")
    with structlog.testing.capture_logs() as logs:
        [status] = _scorer(Settings(model_store=tmp_path, targets=(SPIKE,))).status()
    assert status.champion is not None
    assert status.champion.ref == ref
    assert [line["log_level"] for line in logs] == ["info"]


def served_store(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> Path:
    """Return the model store of an all-in-one run whose servers are taken for started."""
    with Supervisor() as supervisor:
        own = supervisor.spawn("broker", ["sleep", "60"])
        monkeypatch.setattr(launcher, "start_broker", lambda _: lambda: ("127.0.0.1:1", own))
        monkeypatch.setattr(
            launcher, "start_redis", lambda _: lambda: ("redis://127.0.0.1:1/0", own)
        )
        store = launcher.start_servers(settings, supervisor).model_store
        return Path("scratch") if store.parent == supervisor.folder else store


@pytest.mark.usefixtures("read_only")
def test_a_demo_that_can_write_nowhere_keeps_its_models_with_its_other_scratch_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with structlog.testing.capture_logs() as logs:
        assert served_store(monkeypatch, Settings(model_store=tmp_path)) == Path("scratch")
    [line] = [line for line in logs if "VOLTICK_MODEL_STORE" in line["event"]]
    assert str(tmp_path) in line["cause"]


def test_a_demo_keeps_a_store_that_holds_models_or_can_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    settings = Settings(model_store=tmp_path / "new")
    assert served_store(monkeypatch, settings) == tmp_path / "new"
    store = ModelStore(tmp_path / "full")
    store.move(SPIKE, champion=publish_tiny(store, 0.3), by="test")
    request.getfixturevalue("read_only")
    settings = Settings(model_store=tmp_path / "full")
    assert served_store(monkeypatch, settings) == tmp_path / "full"


def test_a_path_below_a_file_is_no_place_for_a_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    store = ModelStore(tmp_path / "file" / "models")
    with pytest.raises(ModelStoreError, match="file is no folder"):
        store.check_writable()
    assert served_store(monkeypatch, Settings(model_store=store.root)) == Path("scratch")


def test_a_store_that_can_be_written_is_not_touched_by_asking(tmp_path: Path) -> None:
    ModelStore(tmp_path / "a" / "b").check_writable()
    assert list(tmp_path.iterdir()) == []
