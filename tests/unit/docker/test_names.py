"""Every name that the deployment's files use is one that the code, or another of the files, has."""

import importlib
import re
from pathlib import Path

import pytest

from flows.settings import variables
from schemas import topics
from tests.support.containers import DOCKER, DOCKERFILE, ROOT, compose
from tests.support.prometheus import unknown_metrics

FILES = {
    str(path.relative_to(DOCKER)): path.read_text("utf-8")
    for path in sorted(DOCKER.rglob("*"))
    if path.is_file() and "__pycache__" not in path.parts and path.name != ".env"
}
TEXT = "\n".join(FILES.values())
PLAIN = "\n".join(text for name, text in FILES.items() if not name.endswith(".md"))
README = FILES["README.md"]
# Of images that are not ours.
FOREIGN_PATHS = ("/opt/kafka/", "/opt/sbom", "/var/log", "/etc/hosts")


def test_every_kind_of_file_is_read() -> None:
    assert {"Dockerfile", "compose.yaml", "voltick.sh", "voltick.ps1", ".env.example"} <= set(FILES)
    for part in ("kubernetes/base", "prometheus/rules", "grafana/dashboards", "alertmanager"):
        assert [name for name in FILES if name.startswith(part)], part


@pytest.mark.parametrize("name", FILES)
def test_every_metric_is_the_products(name: str) -> None:
    # `voltick_models` and the like are volumes of Compose, `voltick:local` is an image.
    volumes = {f"voltick_{volume}" for volume in compose()["volumes"]}
    unknown = unknown_metrics(re.sub(r"\bvoltick:(?![a-z0-9_]+:)", "image:", FILES[name]))
    assert unknown - volumes == set()


def test_every_setting_is_the_products_or_of_kafkas_image() -> None:
    services = compose()["services"]
    foreign = set(services["kafka"]["environment"]) | set(services["kafka-ui"]["environment"])
    own = set(variables().values())
    named = set(re.findall(r"\b(?:VOLTICK|KAFKA|REDIS|MODEL)_[A-Z0-9_]*[A-Z0-9]\b", PLAIN))
    unknown = {name for name in named - own - foreign if name.removesuffix("_FILE") not in own}
    assert unknown == set()
    assert {"VOLTICK_FEED", "KAFKA_SASL_PASSWORD_FILE", "KAFKA_NODE_ID"} <= named


def test_every_module_and_name_of_the_code_is_there() -> None:
    named = set(re.findall(r"\b(?:flows|training|serving|schemas|tests)(?:\.\w+)+", TEXT))
    pairs = set(re.findall(r"\b(flows(?:\.\w+)+):(\w+)", PLAIN))
    assert {"flows.pipeline", "flows.topics", "training.retrain"} <= named
    assert pairs
    for module in named:
        assert importlib.util.find_spec(module) is not None, module
    for module, name in pairs:
        assert hasattr(importlib.import_module(module), name), (module, name)


def test_every_topic_is_the_products() -> None:
    named = set(re.findall(r"kafka:([a-z]+\.[a-z]+)\b(?!\.)", PLAIN)) - {"kafka.yaml"}
    assert named == {topics.TICKS_RAW}
    dotted = set(re.findall(r"`((?:ticks|dead)\.\w+)`", TEXT))
    assert dotted <= {*topics.ALL, topics.REDRIVEN}


def test_every_file_of_the_repository_is_there() -> None:
    pattern = r"(?<![\w./-])(?:docker|flows|training|serving|schemas|tests)/[\w./-]*\w"
    named = set(re.findall(pattern, PLAIN)) - {"docker/.env"}
    assert "docker/compose.yaml" in named
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []


def test_every_path_in_a_container_is_made_or_mounted() -> None:
    made = set(re.findall(r"(?<=\s)/(?:var|opt)/[\w./-]+", DOCKERFILE.read_text("utf-8")))
    mounted = set(re.findall(r"mountPath: ([\w./-]+)", PLAIN))
    for told in compose()["services"].values():
        mounted |= {volume.split(":")[1] for volume in told.get("volumes", ())}
    used = set(re.findall(r"(?<![\w.])/(?:etc|opt|var/lib|run)/[\w./-]*\w", PLAIN))
    lost = {
        path
        for path in used
        if not path.startswith(FOREIGN_PATHS)
        and not any(Path(path).is_relative_to(place) for place in made | mounted)
    }
    assert lost == set()
    assert {"/run/kafka/password", "/etc/alertmanager-receiver/slack-url"} <= used


def test_every_secret_is_made_by_an_operator_or_documented_with_its_keys() -> None:
    named = set(re.findall(r"secret(?:Name|Ref|KeyRef): \{?(?:name: )?([a-z][\w-]*)", PLAIN))
    [user] = re.findall(r"kind: KafkaUser\nmetadata:\n  name: (\w+)", PLAIN)
    [operated] = re.findall(r"kind: Kafka\nmetadata:\n  name: (\w+)", PLAIN)
    by_operator = {user, f"{operated}-cluster-ca-cert"}
    assert {"kafka-client", "models-s3", "alertmanager-receiver"} <= named
    assert [name for name in sorted(named - by_operator) if f"`{name}`" not in README] == []
    keys = set(re.findall(r"--from-(?:literal|file)=([\w.-]+)=", TEXT)) | set(
        re.findall(r"keys `([\w-]+)` and `[\w-]+` of a secret", README)
    )
    used = set(re.findall(r"secretKeyRef: \{name: [\w-]+, key: ([\w.-]+)\}", PLAIN))
    external = [text for name, text in FILES.items() if "/kafka-external/" in name]
    used |= set(re.findall(r"/run/kafka/([\w.]+)", "\n".join(external)))
    used |= set(re.findall(r"/etc/alertmanager-receiver/([\w-]+)", PLAIN))
    assert used <= keys
    assert {"password", "ca.crt", "slack-url", "webhook-url"} <= used
