import hashlib
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest

from flows.errors import ModelRejectedError, ModelStoreError
from flows.numeric.time import NS_PER_S
from flows.scoring.registry import MANIFEST_FILE, MODEL_FILE, SUMS_FILE, ModelStore
from flows.scoring.versions import CREATION_FILE
from tests.support.models import CREATED_NS, publish_tiny, tiny


def test_published_version_reads_back_whole(store):
    manifest, onnx_bytes = tiny(0.3)
    ref = store.publish(manifest, onnx_bytes, {"report.html": b"<p>", "metrics.json": b"{}"})
    assert ref == manifest.ref
    assert store.read(ref) == (manifest, onnx_bytes)
    assert store.file(ref, "report.html") == b"<p>"
    assert store.files(ref) == ["manifest.json", "metrics.json", "model.onnx", "report.html"]


def test_version_names_time_and_content():
    manifest, onnx_bytes = tiny(0.3)
    digest = hashlib.sha256(onnx_bytes).hexdigest()
    assert manifest.version == f"20260921T141320Z-{digest[:8]}"


def test_publishing_again_changes_nothing(store):
    ref = publish_tiny(store, 0.3)
    before = {path: path.stat().st_mtime_ns for path in store.folder(ref).iterdir()}
    assert publish_tiny(store, 0.3) == ref
    assert {path: path.stat().st_mtime_ns for path in store.folder(ref).iterdir()} == before


def test_same_version_with_another_manifest_is_refused(store):
    manifest, onnx_bytes = tiny(0.3)
    ref = store.publish(manifest, onnx_bytes)
    other = msgspec.structs.replace(manifest, threshold=0.9)
    with pytest.raises(ModelStoreError, match=ref):
        store.publish(other, onnx_bytes)
    assert store.read(ref) == (manifest, onnx_bytes)


def test_empty_store_holds_nothing(store):
    assert store.refs() == []
    assert store.manifests() == []
    assert store.newest("gbt", "volatility_spike") is None
    assert store.aliases("volatility_spike").champion is None
    assert store.targets() == []
    assert not store.root.exists()


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../x", "a/b", "/etc", ".hidden", "a\x00b", "x" * 101, "a b", "-x"]
)
def test_names_cannot_leave_the_store(store, name):
    manifest, onnx_bytes = tiny(0.3)
    with pytest.raises(ModelRejectedError):
        store.publish(msgspec.structs.replace(manifest, name=name), onnx_bytes)
    with pytest.raises(ModelRejectedError):
        store.publish(manifest, onnx_bytes, {name: b""})
    with pytest.raises(ModelRejectedError):
        store.read(f"{name}@{manifest.version}")
    with pytest.raises(ModelRejectedError):
        store.read(f"tiny@{name}")


@pytest.mark.parametrize("name", [MODEL_FILE, MANIFEST_FILE, SUMS_FILE])
def test_report_cannot_take_the_models_place(store, name):
    with pytest.raises(ModelRejectedError, match=name):
        store.publish(*tiny(0.3), {name: b""})


def test_version_of_other_content_is_refused(store):
    manifest, onnx_bytes = tiny(0.3)
    with pytest.raises(ModelRejectedError, match=manifest.sha256):
        store.publish(manifest, onnx_bytes + b"x")
    wrong = msgspec.structs.replace(manifest, version="20260101T000000Z-00000000")
    with pytest.raises(ModelRejectedError, match="00000000"):
        store.publish(wrong, onnx_bytes)


def test_flipped_byte_is_refused_by_name_and_hash(store):
    ref = publish_tiny(store, 0.3)
    path = store.folder(ref) / MODEL_FILE
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(ModelRejectedError) as caught:
        store.read(ref)
    assert ref in str(caught.value)
    assert hashlib.sha256(content).hexdigest() in str(caught.value)


def test_edited_manifest_is_refused_by_name(store):
    ref = publish_tiny(store, 0.3, threshold=0.5)
    path = store.folder(ref) / MANIFEST_FILE
    path.write_bytes(path.read_bytes().replace(b'"threshold": 0.5', b'"threshold": 0.9'))
    with pytest.raises(ModelRejectedError, match=ref):
        store.read(ref)


def test_exchanged_graph_is_refused_even_with_new_sums(store):
    manifest, onnx_bytes = tiny(0.3)
    ref = store.publish(manifest, onnx_bytes)
    _, other = tiny(0.9)
    digest = hashlib.sha256(other).hexdigest()
    folder = store.folder(ref)
    (folder / MODEL_FILE).write_bytes(other)
    for name in (MANIFEST_FILE, SUMS_FILE):
        text = (folder / name).read_text().replace(manifest.sha256, digest)
        (folder / name).write_text(text)
    sums = (folder / SUMS_FILE).read_text().splitlines()
    fresh = hashlib.sha256((folder / MANIFEST_FILE).read_bytes()).hexdigest()
    lines = [f"{fresh}  {MANIFEST_FILE}" if line.endswith(MANIFEST_FILE) else line for line in sums]
    (folder / SUMS_FILE).write_text("\n".join(lines) + "\n")
    with pytest.raises(ModelRejectedError, match=manifest.version):
        store.read(ref)


@pytest.mark.parametrize("name", [MODEL_FILE, MANIFEST_FILE, SUMS_FILE])
def test_missing_file_is_refused_by_name(store, name):
    ref = publish_tiny(store, 0.3)
    (store.folder(ref) / name).unlink()
    with pytest.raises(ModelRejectedError, match=ref):
        store.read(ref)


def test_moved_version_is_refused(store):
    ref = publish_tiny(store, 0.3)
    moved = store.root / "models" / "other" / ref.partition("@")[2]
    moved.parent.mkdir()
    store.folder(ref).rename(moved)
    with pytest.raises(ModelRejectedError, match=f"belongs to {ref}"):
        store.read(f"other@{moved.name}")


def test_unknown_version_is_refused_by_name(store):
    with pytest.raises(ModelRejectedError, match="gone@20260101T000000Z-00000000"):
        store.read("gone@20260101T000000Z-00000000")


def test_listing_shows_the_broken_beside_the_whole(store):
    good = publish_tiny(store, 0.3, name="good")
    bad = publish_tiny(store, 0.4, name="bad")
    (store.folder(bad) / MANIFEST_FILE).unlink()
    entries = {entry.ref: entry for entry in store.entries()}
    assert entries[good].problem is None
    assert bad in entries[bad].problem
    assert [manifest.ref for manifest in store.manifests()] == [good]


def test_foreign_files_are_no_versions(store):
    ref = publish_tiny(store, 0.3)
    (store.root / "models" / "README").write_text("hello")
    (store.root / "models" / "tiny" / ".DS_Store").write_text("")
    assert store.refs() == [ref]


def test_newest_goes_by_time_of_creation_within_variant_and_target(store):
    publish_tiny(store, 0.3, variant="gbt", created_ns=CREATED_NS + 2 * 10**9)
    newest = publish_tiny(store, 0.4, variant="gbt", created_ns=CREATED_NS + 9 * 10**9)
    publish_tiny(store, 0.5, variant="rf", created_ns=CREATED_NS + 20 * 10**9)
    simulated = publish_tiny(
        store, 0.6, variant="gbt", created_ns=CREATED_NS + 30 * 10**9, provenance="simulated"
    )
    assert store.newest("gbt", "volatility_spike") == simulated
    assert store.newest("gbt", "volatility_spike", allow_simulated=False) == newest
    assert store.newest("gbt", "forward_return") is None
    assert store.newest("gbt", "volatility_spike", feature_set=99) is None


def test_store_that_is_a_file_is_one_clear_error(tmp_path):
    path = tmp_path / "file"
    path.write_text("")
    store = ModelStore(path)
    with pytest.raises(ModelStoreError, match=str(path)):
        store.publish(*tiny(0.3))
    with pytest.raises(ModelStoreError, match="aliases"):
        store.aliases("volatility_spike")


def test_trainings_of_one_second_get_seconds_of_their_own(store):
    now_ns = CREATED_NS + 5
    found = [store.creation_ns(now_ns) for _ in range(3)]
    assert found[0] == now_ns
    assert len({each // NS_PER_S for each in found}) == 3
    assert store.creation_ns(now_ns + 10 * NS_PER_S) == now_ns + 10 * NS_PER_S


def test_publishers_that_begin_at_once_get_seconds_of_their_own(store):
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(store.creation_ns, [CREATED_NS] * 16))
    assert len({each // NS_PER_S for each in found}) == 16


@pytest.mark.parametrize("content", [b"", b"no number", b"9" * 18])
def test_a_second_that_nobody_can_have_taken_keeps_no_later_one_away(store, content):
    store.creation_ns(CREATED_NS)
    (store.root / CREATION_FILE).write_bytes(content)
    assert store.creation_ns(CREATED_NS + 1) == CREATED_NS + 1
    assert store.creation_ns(CREATED_NS + 2) // NS_PER_S == CREATED_NS // NS_PER_S + 1
