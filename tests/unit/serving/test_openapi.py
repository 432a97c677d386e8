"""The OpenAPI document holds together: what it refers to is in it."""

import json
import re
from typing import Any

import pytest

from serving.app import create_app
from tests.support.api import DEAD_REDIS, settings_for


@pytest.fixture
def document(tmp_path) -> dict[str, Any]:
    return create_app(settings_for(tmp_path, DEAD_REDIS)).openapi()


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    referred = set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(document)))
    assert referred <= set(document["components"]["schemas"])
    assert {"BackfillResponse", "ErrorResponse", "Prediction"} <= referred


def test_every_answer_has_a_schema_and_every_error_the_one_shape(document: dict[str, Any]) -> None:
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            for status, answer in operation["responses"].items():
                json_body = answer.get("content", {}).get("application/json", {}).get("schema")
                if status != "200" and path != "/stream" and (path, status) != ("/health", "503"):
                    name = {"$ref": "#/components/schemas/ErrorResponse"}
                    assert json_body == name, (method, path, status)
                assert json_body or path in {"/stream", "/metrics"}, (method, path, status)
