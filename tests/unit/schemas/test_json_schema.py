import json

import pytest

from schemas.__main__ import MESSAGES, json_schema, main


def test_every_message_is_printed(capsys):
    assert main([]) == 0
    document = json.loads(capsys.readouterr().out)
    titles = {kind.__name__ for kind in MESSAGES.values()}
    assert titles <= set(document["$defs"])
    assert len(document["anyOf"]) == len(MESSAGES)


@pytest.mark.parametrize("name", sorted(MESSAGES))
def test_one_message_is_printed_alone(name, capsys):
    assert main([name]) == 0
    document = json.loads(capsys.readouterr().out)
    title = MESSAGES[name].__name__
    assert document["$ref"] == f"#/$defs/{title}"
    body = document["$defs"][title]
    assert body["type"] == "object"
    assert set(body["required"]) <= set(body["properties"])


def test_unknown_message_is_one_line_that_names_the_known(capsys):
    assert main(["tock"]) == 2
    streams = capsys.readouterr()
    assert streams.out == ""
    assert streams.err.count("\n") == 1
    assert "'tock'" in streams.err
    assert "tick" in streams.err


def test_references_stay_inside_the_document():
    document = json_schema(list(MESSAGES))

    def walk(node):
        if isinstance(node, dict):
            if "$ref" in node:
                name = node["$ref"].removeprefix("#/$defs/")
                assert name in document["$defs"]
            for child in node.values():
                walk(child)
        elif isinstance(node, list):
            for child in node:
                walk(child)

    walk(document)
