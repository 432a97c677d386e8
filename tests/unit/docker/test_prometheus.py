"""Prometheus' and Alertmanager's files: sound, proved, documented, and about metrics there are."""

import re
import subprocess

import pytest
import yaml

from tests.support import docs
from tests.support.prometheus import FOLDER, RULES, binary, promtool, rules, unknown_metrics

ROOT = docs.ROOT
ALERTS = [rule for rule in rules() if "alert" in rule]
TESTED = yaml.safe_load((FOLDER / "tests" / "alerts.yml").read_text())["tests"]
RUNBOOK = (ROOT / "docker" / "RUNBOOK.md").read_text("utf-8")


@pytest.mark.parametrize("name", ["prometheus.yml", "local.yml"])
def test_a_configuration_is_sound(name: str) -> None:
    checked = promtool("check", "config", "--lint=all", str(FOLDER / name))
    assert checked.returncode == 0, checked.stderr


def test_every_alert_fires_on_its_fault_and_resolves_after_it() -> None:
    tested = promtool("test", "rules", str(FOLDER / "tests" / "alerts.yml"))
    assert tested.returncode == 0, tested.stderr
    for alert in ALERTS:
        name = alert["alert"]
        own = [case for test in TESTED for case in test["alert_rule_test"]]
        expected = [bool(case["exp_alerts"]) for case in own if case["alertname"] == name]
        assert set(expected) == {True, False}, name


def test_alertmanagers_configuration_is_sound() -> None:
    config = ROOT / "docker" / "alertmanager" / "alertmanager.yml"
    command = [binary("amtool"), "check-config", str(config)]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0
    names = {alert["alert"] for alert in ALERTS}
    assert set(re.findall(r"Voltick\w+", config.read_text())) <= names


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])
def test_every_alert_has_its_entry_in_the_runbook(alert: dict) -> None:
    name = alert["alert"]
    assert alert["annotations"]["runbook"] == f"docker/RUNBOOK.md#{name.lower()}"
    assert re.search(rf"^### {name}$", RUNBOOK, re.MULTILINE)
    assert alert["labels"]["severity"] in ("critical", "warning")
    assert alert["annotations"]["summary"]


def test_every_entry_of_the_runbook_has_its_alert() -> None:
    entries = re.findall(r"^### (\w+)$", RUNBOOK, re.MULTILINE)
    assert sorted(entries) == sorted(alert["alert"] for alert in ALERTS)


def test_rules_and_runbook_name_metrics_that_there_are() -> None:
    assert unknown_metrics(" ".join(rule["expr"] for rule in rules())) == set()
    told = re.findall(r"`(voltick_\w+|voltick:[\w:]+)`", RUNBOOK)
    assert unknown_metrics(" ".join(told)) == set()


def test_both_configurations_have_the_same_jobs_and_all_rules() -> None:
    jobs = []
    for name in ("prometheus.yml", "local.yml"):
        config = yaml.safe_load((FOLDER / name).read_text())
        assert config["rule_files"] == ["rules/*.yml"]
        jobs.append([job["job_name"] for job in config["scrape_configs"]])
    assert jobs[0] == jobs[1]
    assert {path.name for path in RULES} == {"alerts.yml", "recording.yml"}
