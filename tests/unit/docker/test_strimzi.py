"""Kafka by an operator: its resources, as far as they can be held to what they rest on."""

from typing import Any

from flows.settings import Settings
from schemas import topics
from tests.support.containers import cluster, cluster_containers

RESTRICTED = {
    "allowPrivilegeEscalation": False,
    "runAsNonRoot": True,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}


def of_strimzi() -> dict[str, dict[str, Any]]:
    return {
        document["kind"]: document
        for document in cluster("production")
        if document["apiVersion"].startswith("kafka.strimzi.io/")
    }


def test_resources_are_of_the_version_that_operators_still_know() -> None:
    found = of_strimzi()
    assert {kind: each["apiVersion"] for kind, each in found.items()} == dict.fromkeys(
        ("Kafka", "KafkaNodePool", "KafkaUser"), "kafka.strimzi.io/v1"
    )
    # An operator knows few versions of Kafka: one that is named here ends its upgrades.
    assert "version" not in found["Kafka"]["spec"]["kafka"]


def test_the_namespace_admits_its_pods() -> None:
    [namespace] = [each for each in cluster("production") if each["kind"] == "Namespace"]
    labels = namespace["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    pool, kafka = of_strimzi()["KafkaNodePool"], of_strimzi()["Kafka"]
    assert pool["spec"]["template"]["kafkaContainer"]["securityContext"] == RESTRICTED
    entity = kafka["spec"]["entityOperator"]["template"]
    assert entity["userOperatorContainer"]["securityContext"] == RESTRICTED


def test_the_user_may_use_the_products_topics_and_groups_alone() -> None:
    by_name: dict[tuple[str, str], set[str]] = {}
    for rule in of_strimzi()["KafkaUser"]["spec"]["authorization"]["acls"]:
        resource = rule["resource"]
        pattern = "*" if resource.get("patternType") == "prefix" else ""
        named = (resource["type"], resource.get("name", "") + pattern)
        by_name[named] = set(rule["operations"])
    written = {name for (kind, name), may in by_name.items() if kind == "topic" and "Write" in may}
    assert written == {*topics.ALL, topics.REDRIVEN}
    assert all("Create" in by_name["topic", name] for name in written)
    own = f"{Settings().group}*"
    assert by_name["group", own] == {"Describe", "Read"}
    assert by_name["group", "*"] == {"Describe"}
    assert by_name["transactionalId", own] == {"Describe", "Write"}
    assert "Create" not in by_name["cluster", ""]


def test_a_replica_may_be_lost() -> None:
    config = of_strimzi()["Kafka"]["spec"]["kafka"]["config"]
    replicas = of_strimzi()["KafkaNodePool"]["spec"]["replicas"]
    assert config["min.insync.replicas"] < config["default.replication.factor"] <= replicas
    for container in cluster_containers("production").values():
        if container.module.startswith("flows."):
            assert int(container.env["VOLTICK_REPLICATION_FACTOR"]) == replicas
