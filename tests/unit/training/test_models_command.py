import json

import pytest

from flows.scoring.registry import ModelStore
from schemas.features import FEATURE_SET
from tests.support.models import CREATED_NS, publish_tiny
from training import models

TARGET = "volatility_spike"


@pytest.fixture
def store(tmp_path):
    return ModelStore(tmp_path / "store")


@pytest.fixture
def command(store, monkeypatch, capsys, tmp_path):
    """Run ``python -m training.models ARGUMENTS``: exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VOLTICK_MODEL_STORE", str(store.root))

    def run(*arguments):
        monkeypatch.setattr("sys.argv", ["training.models", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            models.main()
        streams = capsys.readouterr()
        return ended.value.code, streams.out, streams.err

    return run


def refused(answer, *words):
    code, out, err = answer
    assert code == 2
    assert out == ""
    assert err.count("\n") == 1
    for word in words:
        assert word in err


def test_empty_store_is_said_so(command, store):
    assert command("list") == (0, f"no models in {store.root}\n", "")
    assert json.loads(command("list", "--json")[1]) == {"models": [], "aliases": []}


def test_list_shows_roles_and_the_broken(command, store):
    champion, former, challenger, broken = (
        publish_tiny(store, 0.2, name=name) for name in ("a", "b", "c", "d")
    )
    store.move(TARGET, champion=former, by="test")
    store.move(TARGET, champion=champion, by="test")
    store.add_challenger(TARGET, challenger, by="test")
    (store.folder(broken) / "manifest.json").unlink()
    code, out, _ = command("list", "--json")
    assert code == 0
    listed = {model["ref"]: model for model in json.loads(out)["models"]}
    assert [listed[ref]["role"] for ref in (champion, former, challenger, broken)] == [
        "champion",
        "former",
        "challenger",
        None,
    ]
    assert broken in listed[broken]["problem"]
    table = command("list")[1]
    for ref in (champion, former, challenger, broken):
        assert ref in table
    assert "broken" in table


def test_list_as_a_table_has_words_and_no_markup(command, store):
    champion, broken = (publish_tiny(store, 0.2, name=name) for name in ("a", "b"))
    store.move(TARGET, champion=champion, by="test")
    (store.folder(broken) / "manifest.json").unlink()
    rows = {line.split()[0]: line.split() for line in command("list")[1].splitlines()}
    assert "champion" in rows[champion]
    assert rows[broken][1] == "broken"


def test_list_of_one_target(command, store):
    publish_tiny(store, 0.2)
    out = command("list", "--target", "forward_return", "--json")[1]
    assert json.loads(out)["models"] == []


def test_show_names_everything_of_a_version(command, store):
    ref = publish_tiny(store, 0.2)
    store.move(TARGET, champion=ref, by="test")
    code, out, _ = command("show", ref)
    assert code == 0
    for word in (ref, "champion", "vol_ratio_60_3600", store.manifest(ref).sha256):
        assert word in out
    shown = json.loads(command("show", ref, "--json")[1])
    assert shown["manifest"]["sha256"] == store.manifest(ref).sha256
    assert shown["role"] == "champion"


def test_promote_and_roll_back(command, store):
    first, second = (publish_tiny(store, p, name=f"m{p}") for p in (0.2, 0.4))
    assert command("promote", first, "--target", TARGET)[0] == 0
    code, out, _ = command("promote", second)
    assert (code, out) == (0, f"{TARGET}: champion {second} (was {first})\n")
    assert store.aliases(TARGET).champion == second
    code, out, _ = command("rollback", "--target", TARGET, "--json")
    assert json.loads(out)["champion"] == first
    assert store.aliases(TARGET).champion == first
    assert all(move.by.startswith("cli") for move in store.moves())


def test_rollback_without_a_former_champion_is_refused(command, store):
    refused(command("rollback", "--target", TARGET), "no former champion", TARGET)


def test_shadow_goes_on_and_off(command, store):
    champion, other = (publish_tiny(store, p, name=f"m{p}") for p in (0.2, 0.4))
    command("promote", champion)
    code, out, _ = command("shadow", other)
    assert code == 0
    assert other in out
    assert store.aliases(TARGET).challengers == [other]
    assert command("shadow", other, "--off")[0] == 0
    assert store.aliases(TARGET).challengers == []


@pytest.mark.parametrize("move", ["promote", "shadow", "show"])
def test_tampered_version_is_refused_by_name(command, store, move):
    ref = publish_tiny(store, 0.2)
    path = store.folder(ref) / "model.onnx"
    path.write_bytes(path.read_bytes() + b"x")
    refused(command(move, ref), ref, "sha256")
    assert store.aliases(TARGET).champion is None


@pytest.mark.parametrize("move", ["promote", "shadow", "show"])
def test_version_of_another_feature_set_is_refused(command, store, move):
    ref = publish_tiny(store, 0.2, feature_set=FEATURE_SET + 1)
    refused(command(move, ref), ref, "FEATURE_SET")


def test_unknown_version_is_refused_by_name(command):
    refused(command("promote", "gone@20260101T000000Z-00000000"), "gone@20260101T000000Z-00000000")
    refused(command("promote", "../../etc/passwd"), "names no model")


def test_wrong_target_is_refused(command, store):
    ref = publish_tiny(store, 0.2)
    refused(command("promote", ref, "--target", "forward_return"), ref, TARGET)


def test_simulated_model_needs_leave(command, store):
    ref = publish_tiny(store, 0.2, provenance="simulated")
    refused(command("promote", ref), ref, "simulated", "--allow-simulated")
    assert command("promote", ref, "--allow-simulated")[0] == 0


def test_prune_removes_what_is_old_and_out_of_office(command, store):
    old, champion, newest = (
        publish_tiny(store, 0.2, created_ns=CREATED_NS + number * 10**9) for number in range(3)
    )
    store.move(TARGET, champion=champion, by="test")
    assert command("prune", "--keep", "1") == (0, f"removed {old}\n", "")
    assert json.loads(command("prune", "--keep", "1", "--json")[1]) == {"removed": []}
    assert store.refs() == [champion, newest]


def test_store_can_be_named(command, tmp_path):
    other = ModelStore(tmp_path / "other")
    ref = publish_tiny(other, 0.2)
    assert ref in command("list", "--store", other.root)[1]


def test_import_without_manifest_says_what_is_missing(command):
    refused(command("import", "model.onnx"), "--manifest")
