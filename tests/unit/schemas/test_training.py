"""The last line of a training run."""

import math

import msgspec
import pytest

from schemas.training import ExitCode, TrainingResult, encode_result, find_result

RESULT = TrainingResult(
    target="volatility_spike",
    version="a@1",
    published=True,
    champion=False,
    prevalence=0.1,
    pr_auc=0.3,
    pr_auc_ci=(0.2, None),
    variants={"logreg": {"pr_auc": 0.3, "by_fold": [0.3]}},
)
LOG = '{"event":"training","level":"info"}'


def test_a_result_survives_the_line() -> None:
    assert find_result(encode_result(RESULT)) == RESULT


def test_the_result_is_found_among_logs_and_other_lines() -> None:
    output = "\n".join([LOG, encode_result(RESULT), LOG, "stays a challenger: why"])
    assert find_result(output) == RESULT


def test_the_last_of_several_results_counts() -> None:
    later = msgspec.structs.replace(RESULT, version="b@2")
    assert find_result(f"{encode_result(RESULT)}\n{encode_result(later)}\n") == later


@pytest.mark.parametrize(
    "output",
    ["", LOG, f"{LOG}\n{{broken", '{"version":"a@1"}', "[1]", '"\udcff"'],
    ids=["nothing", "log", "cut", "no-result", "array", "surrogate"],
)
def test_other_output_holds_no_result(output: str) -> None:
    assert find_result(output) is None


def test_undefined_numbers_are_null() -> None:
    line = encode_result(msgspec.structs.replace(RESULT, lift=math.nan, pr_auc=math.inf))
    decoded = msgspec.json.decode(line)
    assert decoded["lift"] is None
    assert decoded["pr_auc"] is None


def test_fields_of_a_newer_version_are_passed_over() -> None:
    line = msgspec.json.encode(msgspec.to_builtins(RESULT) | {"later": 1}).decode()
    assert find_result(line) == RESULT


def test_exit_codes_are_those_that_the_commands_document() -> None:
    assert [(code.name, int(code)) for code in ExitCode] == [
        ("DONE", 0),
        ("FAILED", 1),
        ("REFUSED", 2),
        ("LEAK", 4),
        ("STAYED_CHALLENGER", 5),
    ]
