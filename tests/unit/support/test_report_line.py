"""Whoever reads one line of a run learns whether Apache Kafka took part."""

from types import SimpleNamespace

from tests.support.kafka.report_line import apache_line

SKIPPED = SimpleNamespace(
    keywords={"test_a": 1, "apache": 1}, longrepr=("conftest.py", 40, "Skipped: no `java`")
)
RAN = SimpleNamespace(keywords={"test_b[apache]": 1, "apache": 1})
OTHER = SimpleNamespace(keywords={"test_c[embedded]": 1})


def test_one_that_ran_is_enough():
    assert apache_line({"passed": [OTHER, RAN], "skipped": [SKIPPED]}) == "apache: run"
    assert apache_line({"failed": [RAN]}) == "apache: run"


def test_all_skipped_is_said_with_the_reason():
    assert apache_line({"passed": [OTHER], "skipped": [SKIPPED]}) == "apache: SKIPPED: no `java`"


def test_a_selection_without_them_claims_nothing():
    assert apache_line({"passed": [OTHER], "warnings": [object()]}) == "apache: not asked for"
