"""Foreign files in the model store stop nothing and are named once."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import structlog
from typer.testing import CliRunner

from flows.errors import ModelRejectedError, ModelStoreError
from flows.scoring.baseline import ensure_baseline
from flows.scoring.durable import read_regular
from flows.scoring.registry import MODEL_FILE, SUMS_FILE, ModelStore
from flows.scoring.scorer import Scorer
from tests.support.models import CREATED_NS, publish_tiny, tiny
from training.models import app

SPIKE = "volatility_spike"
GONE = "20260101T000000Z-00000000"


def write(content: bytes) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(content)


def copy_of_the_aliases(path: Path) -> None:
    path.write_bytes((path.parent / f"{SPIKE}.json").read_bytes())


def sparse(path: Path) -> None:
    path.touch()
    os.truncate(path, 1 << 33)


ALIAS_STRAYS = {
    "backup": (f"{SPIKE}.bak.json", copy_of_the_aliases),
    "copy": (f"{SPIKE}_old.json", copy_of_the_aliases),
    "swap": (f".{SPIKE}.json.swp", write(b"b0VIM")),
    "tilde": (f"{SPIKE}.json~", write(b"{}")),
    "half": ("other_target.json", write(b'{"target": "other_ta')),
    "not-utf8": ("latin.json", write(b'{"target": "\xe9"}')),
    "nested": ("deep.json", write(b"[" * 100_000)),
    "big-number": ("big.json", write(b'{"target": "big", "moved_ns": 99999999999999999999}')),
    "huge": ("huge.json", sparse),
    "folder": ("folder.json", Path.mkdir),
    "dangling": ("dangling.json", lambda path: path.symlink_to("nowhere")),
    "loop": ("loop.json", lambda path: path.symlink_to(path)),
    "pipe": ("pipe.json", os.mkfifo),
    "finder": (".DS_Store", write(b"Bud1")),
}
MODEL_STRAYS = {
    "file": ("notes.txt", write(b"hello")),
    "file-in-a-model": (".voltick/x", write(b"")),
    "dangling": ("dangling", lambda path: path.symlink_to("nowhere")),
    "loop": ("loop", lambda path: path.symlink_to(path)),
    "pipe": ("pipe", os.mkfifo),
    "file-named-as-version": (f"m/{GONE}", write(b"")),
    "empty-version": (f"m/{GONE}", Path.mkdir),
    "foreign-version": ("m/v2", Path.mkdir),
    "dangling-version": (f"m/{GONE}", lambda path: path.symlink_to("nowhere")),
    "foreign-manifest": (f"m/{GONE}/manifest.json", write(b"\xff\xfe")),
}


def check_everything(store: ModelStore, champion: str) -> None:
    """Whatever lists or follows the store does so."""
    assert champion in store.refs()
    assert [manifest.ref for manifest in store.manifests()] == [champion]
    assert store.targets() == [SPIKE]
    assert store.newest("tiny", SPIKE) == champion
    assert ensure_baseline(store, SPIKE) == champion
    scorer = Scorer(store, (SPIKE,))
    assert [status.champion.ref for status in scorer.status()] == [champion]
    store.add_challenger(SPIKE, publish_tiny(store, 0.7, name="late"), by="test")
    assert store.change_token() == store.change_token()
    store.prune(1)
    assert champion in store.refs()


def listed(store: ModelStore, *arguments: str) -> str:
    done = CliRunner().invoke(app, [*arguments, "--store", str(store.root)])
    assert done.exit_code == 0, done.output
    return done.output


@pytest.mark.parametrize("stray", ALIAS_STRAYS)
def test_a_stray_beside_the_aliases_stops_nothing_and_is_named_once(
    store: ModelStore, stray: str
) -> None:
    champion = publish_tiny(store, 0.3)
    store.move(SPIKE, champion=champion, by="test")
    name, make = ALIAS_STRAYS[stray]
    make(store.root / "aliases" / name)
    with structlog.testing.capture_logs() as logs:
        check_everything(store, champion)
        store.targets()
        store.change_token()
    named = [line["path"] for line in logs if "foreign file" in line["event"]]
    assert named == [str(store.root / "aliases" / name)]
    assert champion in listed(store, "list", "--json")
    assert champion in listed(store, "show", champion, "--json")
    listed(store, "prune")


@pytest.mark.parametrize("stray", MODEL_STRAYS)
def test_a_stray_among_the_versions_stops_nothing_and_is_named_once(
    store: ModelStore, stray: str
) -> None:
    champion = publish_tiny(store, 0.3)
    store.move(SPIKE, champion=champion, by="test")
    name, make = MODEL_STRAYS[stray]
    path = store.root / "models" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    make(path)
    with structlog.testing.capture_logs() as logs:
        check_everything(store, champion)
        store.manifests()
    named = [line["path"] for line in logs if "foreign file" in line["event"]]
    assert len(named) == 1
    assert named[0] in str(path)
    assert champion in listed(store, "list", "--json")
    listed(store, "prune")


def test_a_new_version_is_noticed_beside_a_link_to_nowhere(store: ModelStore) -> None:
    publish_tiny(store, 0.3)
    (store.root / "models" / "dangling").symlink_to("nowhere")
    before = store.change_token()
    publish_tiny(store, 0.4, created_ns=CREATED_NS + 10**9)
    assert store.change_token() != before


@pytest.mark.parametrize("make", [write(b"{"), Path.mkdir, lambda path: path.symlink_to("nowhere")])
def test_nothing_is_removed_while_an_alias_file_cannot_be_read(store: ModelStore, make) -> None:
    refs = [publish_tiny(store, 0.3, created_ns=CREATED_NS + n * 10**9) for n in range(4)]
    store.move(SPIKE, champion=refs[0], by="test")
    path = store.root / "aliases" / f"{SPIKE}.json"
    path.unlink()
    make(path)
    with structlog.testing.capture_logs() as logs:
        assert store.prune(1) == []
    assert store.refs() == refs
    assert [line["event"] for line in logs] == ["no version is removed"]
    assert str(path) in logs[0]["cause"]


def test_what_a_copy_of_the_aliases_names_is_kept(store: ModelStore) -> None:
    refs = [publish_tiny(store, 0.3, created_ns=CREATED_NS + n * 10**9) for n in range(4)]
    store.move(SPIKE, champion=refs[0], by="test")
    aliases = store.root / "aliases"
    (aliases / f"{SPIKE}.json").rename(aliases / f"{SPIKE}_kept.json")
    assert store.prune(1) == refs[1:3]


def test_a_version_that_cannot_be_removed_does_not_keep_the_others(
    store: ModelStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    refs = [publish_tiny(store, 0.3, created_ns=CREATED_NS + n * 10**9) for n in range(4)]
    remove = ModelStore.remove

    def stubborn(self: ModelStore, ref: str) -> None:
        if ref == refs[0]:
            message = "model store: cannot remove it: Device or resource busy"
            raise ModelStoreError(message)
        remove(self, ref)

    monkeypatch.setattr(ModelStore, "remove", stubborn)
    assert store.prune(1) == refs[1:3]
    with pytest.raises(ModelStoreError, match="busy"):
        store.prune(1)


def test_a_version_that_is_a_link_is_removed_and_what_it_leads_to_stays(store: ModelStore) -> None:
    refs = [publish_tiny(store, 0.3, created_ns=CREATED_NS + n * 10**9) for n in range(3)]
    elsewhere = store.root.parent / "elsewhere"
    store.folder(refs[0]).rename(elsewhere)
    store.folder(refs[0]).symlink_to(elsewhere)
    assert store.prune(1) == refs[:2]
    assert list((store.root / ".staging").iterdir()) == []
    assert (elsewhere / MODEL_FILE).is_file()


def test_a_publication_that_finds_no_room_leaves_nothing(
    store: ModelStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nearly_full(path: Path, content: bytes) -> None:
        path.write_bytes(content[:10])
        if path.name == SUMS_FILE or len(content) > 1000:
            raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("flows.scoring.version_files.write_file", nearly_full)
        with pytest.raises(ModelStoreError, match="No space left"):
            store.publish(*tiny(0.3), {"report.html": b"x" * 2000})
    assert store.refs() == []
    assert list((store.root / ".staging").iterdir()) == []


def test_leftovers_of_any_kind_in_staging_do_not_stop_a_publication(store: ModelStore) -> None:
    publish_tiny(store, 0.3)
    staging = store.root / ".staging"
    (staging / "file").write_bytes(b"")
    (staging / "folder" / "inner").mkdir(parents=True)
    (staging / "link").symlink_to("folder")
    (staging / "dangling").symlink_to("nowhere")
    publish_tiny(store, 0.4, name="next")
    assert list(staging.iterdir()) == []


@pytest.mark.parametrize("damage", ["manifest", "graph", "sums", "empty", "file"])
def test_a_damaged_version_is_replaced_when_it_is_published_again(
    store: ModelStore, damage: str
) -> None:
    manifest, onnx_bytes = tiny(0.3)
    ref = store.publish(manifest, onnx_bytes, {"report.html": b"x"})
    folder = store.folder(ref)
    if damage == "manifest":
        (folder / "manifest.json").write_bytes(b"{")
    elif damage == "graph":
        (folder / "model.onnx").unlink()
    elif damage == "sums":
        (folder / "SHA256SUMS").write_bytes(b"\xff")
    else:
        folder.rename(store.root / "away")
        folder.mkdir() if damage == "empty" else folder.write_bytes(b"")
    with structlog.testing.capture_logs() as logs:
        assert store.publish(manifest, onnx_bytes, {"report.html": b"x"}) == ref
    assert [line["event"] for line in logs] == ["a damaged version is published again, whole"]
    assert store.read(ref) == (manifest, onnx_bytes)
    assert store.file(ref, "report.html") == b"x"


def test_the_builtin_model_survives_a_half_copied_folder_of_its_own(store: ModelStore) -> None:
    other = ModelStore(store.root.with_name("other"))
    ref = ensure_baseline(other, SPIKE)
    assert ref is not None
    half = store.folder(ref)
    half.mkdir(parents=True)
    (half / "model.onnx").write_bytes(other.file(ref, "model.onnx")[:100])
    assert ensure_baseline(store, SPIKE) == ref
    assert store.read(ref) == other.read(ref)


def test_a_file_of_gigabytes_in_the_models_place_is_refused(store: ModelStore) -> None:
    ref = publish_tiny(store, 0.3)
    os.truncate(store.folder(ref) / "model.onnx", 1 << 40)
    with pytest.raises(ModelRejectedError, match="larger than"):
        store.read(ref)


def test_reading_stops_at_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 10)
    assert read_regular(path, 10) == b"x" * 10
    with pytest.raises(OSError, match="larger than 9 bytes"):
        read_regular(path, 9)
