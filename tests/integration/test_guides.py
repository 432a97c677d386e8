"""The guides for bringing something of one's own, carried out in a copy of the repository."""

from pathlib import Path

import pytest

from flows.scoring.registry import ModelStore
from tests.support.docs import ROOT
from tests.support.guides import blocks, carry_out, section
from tests.support.models import publish_tiny

GUIDES = {
    "venue": (ROOT / "flows" / "feeds" / "VENUE.md", 7),
    "feature": (ROOT / "flows" / "features" / "README.md", 5),
    "target": (ROOT / "flows" / "targets" / "README.md", 1),
    "model": (ROOT / "training" / "estimators" / "README.md", 6),
}


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("guide", GUIDES)
def test_a_guide_leads_where_it_says(guide: str, tmp_path: Path) -> None:
    document, steps = GUIDES[guide]
    text = document.read_text("utf-8")
    assert carry_out(text, tmp_path, changes_code=guide != "target") == steps


def test_a_section_and_its_blocks_are_found(tmp_path: Path) -> None:
    document = tmp_path / "guide.md"
    document.write_text("## A\n```sh\ntrue\n```\n## B\n```python a/b.py\nx = 1\n```\n")
    assert [(each.kind, each.path) for each in blocks(section(document, "A"))] == [("sh", None)]
    assert [each.path for each in blocks(section(document, "B"))] == ["a/b.py"]


def test_a_store_that_was_backed_up_comes_back(tmp_path: Path) -> None:
    store = ModelStore(tmp_path / ".voltick" / "models")
    ref = publish_tiny(store, 0.3)
    store.move("volatility_spike", champion=ref, by="test")
    text = section(ROOT / "docker" / "README.md", "Back up and restore")
    assert carry_out(text, tmp_path, changes_code=False) == 2
    restored = ModelStore(tmp_path / "restored")
    assert restored.aliases("volatility_spike").champion == ref
    assert restored.manifest(ref) == store.manifest(ref)
