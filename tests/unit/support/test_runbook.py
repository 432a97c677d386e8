"""What a runbook tells to do is read out of its text."""

from tests.support.runbook import runbook

TEXT = """
See `GET /health`, or:

```sh
python -m a.b --x 1     # why
curl -s http://127.0.0.1:8000/system
promtool check
```

Then `python -m
c d` and `POST /models/{target}/rollback`, not `voltick_lag`. Again `GET /health`.
"""


def test_commands_and_calls_are_found_once() -> None:
    found = runbook(TEXT)
    assert found.commands == (("-m", "a.b", "--x", "1"), ("-m", "c", "d"))
    assert found.calls == (
        ("GET", "/system"),
        ("GET", "/health"),
        ("POST", "/models/{target}/rollback"),
    )
