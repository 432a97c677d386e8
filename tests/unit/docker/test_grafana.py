"""Grafana's dashboards and their provisioning: stable, complete, about metrics there are."""

import pytest
import yaml

from tests.support.dashboards import DASHBOARDS, FOLDER, queries
from tests.support.prometheus import unknown_metrics

NAMED = pytest.mark.parametrize("name", DASHBOARDS)


def provisioning(kind: str, name: str) -> dict:
    return yaml.safe_load((FOLDER / "provisioning" / kind / f"{name}.yml").read_text())


def test_dashboards_keep_their_ids_in_one_folder() -> None:
    assert {name: each["uid"] for name, each in DASHBOARDS.items()} == {
        "feeds": "voltick-feeds",
        "models": "voltick-models",
        "objectives": "voltick-slo",
        "pipeline": "voltick-pipeline",
    }
    [provider] = provisioning("dashboards", "voltick")["providers"]
    assert (provider["folder"], provider["folderUid"]) == ("Voltick", "voltick")
    [source] = provisioning("datasources", "prometheus")["datasources"]
    assert source["uid"] == "voltick-prometheus"


@NAMED
def test_every_panel_has_title_unit_thresholds_and_a_place_of_its_own(name: str) -> None:
    panels = DASHBOARDS[name]["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        defaults = panel["fieldConfig"]["defaults"]
        assert panel["title"]
        assert defaults["unit"]
        assert defaults["thresholds"]["steps"]
        assert panel["datasource"]["uid"] == "voltick-prometheus"
        place = panel["gridPos"]
        own = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not own & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= own


def test_titles_tell_panels_of_a_dashboard_apart() -> None:
    for dashboard in DASHBOARDS.values():
        titles = [panel["title"] for panel in dashboard["panels"]]
        assert len(set(titles)) == len(titles)


@NAMED
def test_every_query_names_metrics_that_there_are(name: str) -> None:
    own = [expression for dashboard, *_rest, expression in queries() if dashboard == name]
    assert unknown_metrics(" ".join(own)) == set()
