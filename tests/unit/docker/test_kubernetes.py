"""The cluster's manifests: their schemas, and what a pod may do, ask for and be asked."""

import json
from collections.abc import Iterator
from typing import Any

import kubernetes_validate
import pytest

from flows.settings import Settings, load_settings
from tests.support.containers import (
    OVERLAYS,
    amount,
    cluster,
    cluster_containers,
    compose,
    of_kind,
    pods,
)

VERSION = "1.33"
# Kinds of an operator have their schemas in its own cluster.
OPERATORS = ("kafka.strimzi.io/",)
VALID: set[str] = set()
"""What has been held to its schema already: overlays have most of it in common."""


def containers(overlay: str) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    for name, pod in pods(overlay).items():
        for container in [*pod.get("initContainers", ()), *pod["containers"]]:
            yield f"{name}/{container['name']}", pod, container


pytestmark = pytest.mark.parametrize("overlay", OVERLAYS)


def test_the_schemas_of_kubernetes_accept_all_of_it(overlay: str) -> None:
    for document in cluster(overlay):
        text = json.dumps(document, sort_keys=True)
        if not document["apiVersion"].startswith(OPERATORS) and text not in VALID:
            kubernetes_validate.validate(document, VERSION, strict=True)
            VALID.add(text)
        assert document["kind"] == "Namespace" or document["metadata"]["namespace"] == "voltick"


def test_no_pod_has_rights_or_runs_as_root(overlay: str) -> None:
    for name, pod, container in containers(overlay):
        assert pod["automountServiceAccountToken"] is False, name
        assert pod["serviceAccountName"] == "voltick"
        assert pod["enableServiceLinks"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] > 0
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        secured = container["securityContext"]
        assert secured["allowPrivilegeEscalation"] is False
        assert secured["capabilities"] == {"drop": ["ALL"]}
        # Kafka's image writes its configuration beside itself.
        assert secured.get("readOnlyRootFilesystem") or container["image"].startswith(
            "apache/kafka:"
        ), name
    accounts = of_kind(overlay, "ServiceAccount").values()
    assert [account["automountServiceAccountToken"] for account in accounts] == [False]


def test_every_container_says_what_it_needs(overlay: str) -> None:
    for name, _pod, container in containers(overlay):
        told = container["resources"]
        assert amount(told["requests"]["cpu"]) > 0, name
        assert amount(told["requests"]["memory"]) <= amount(told["limits"]["memory"]), name


def test_every_volume_is_there(overlay: str) -> None:
    claims = of_kind(overlay, "PersistentVolumeClaim")
    for name, pod, container in containers(overlay):
        volumes = {volume["name"]: volume for volume in pod.get("volumes", ())}
        made = {"data"} if name.startswith("StatefulSet/kafka") else set()
        mounted = {mount["name"] for mount in container.get("volumeMounts", ())}
        assert mounted <= set(volumes) | made, name
        for volume in volumes.values():
            assert len(volume) == 2, volume
            if "persistentVolumeClaim" in volume:
                assert volume["persistentVolumeClaim"]["claimName"] in claims, name


def test_a_service_finds_its_pods_at_a_port_that_they_have(overlay: str) -> None:
    labelled = {}
    for document in cluster(overlay):
        template = document.get("spec", {}).get("template", {})
        if "spec" in template:
            ports = {
                port["containerPort"]
                for container in template["spec"]["containers"]
                for port in container.get("ports", ())
            }
            labelled[document["metadata"]["name"]] = (template["metadata"]["labels"], ports)
    for name, service in of_kind(overlay, "Service").items():
        selector = service["spec"]["selector"].items()
        matched = [ports for labels, ports in labelled.values() if selector <= labels.items()]
        assert matched, name
        for port in service["spec"]["ports"]:
            assert all(port.get("targetPort", port["port"]) in ports for ports in matched), name


def test_names_and_ports_are_those_of_compose(overlay: str) -> None:
    services = of_kind(overlay, "Service")
    told = compose()["services"]
    assert {"api", "pipeline", "ingest", "outcomes", "mlflow", "valkey"} <= set(services)
    for name, service in services.items():
        for port in told[name].get("ports", ()):
            inside = int(port.split(":")[-1])
            assert inside in {each["port"] for each in service["spec"]["ports"]} or name == "kafka"


def test_live_is_told_from_ready(overlay: str) -> None:
    found = pods(overlay)
    for name, container in cluster_containers(overlay).items():
        [told] = [each for each in found[name]["containers"] if each["name"] == "process"]
        if name.startswith("CronJob"):
            continue
        assert "livenessProbe" in told, name
        if container.module in {"serving", "flows.ingest"}:
            assert told["readinessProbe"]["httpGet"]["path"] == "/health"
            assert told["livenessProbe"]["httpGet"]["path"] != "/health"
        settings = load_settings(_readable(container.env))
        ports = {port["name"]: port["containerPort"] for port in told.get("ports", ())}
        if container.module == "serving":
            assert ports == {"http": settings.api_port}
        elif container.module == "flows.ingest":
            assert ports == {"metrics": settings.ingest_metrics_port}
        elif container.module.startswith("flows."):
            assert ports == {"metrics": settings.metrics_port}


def test_a_start_has_time_to_answer_and_a_shell_ends_when_it_is_told_to(overlay: str) -> None:
    for name, _pod, container in containers(overlay):
        for probe in ("startupProbe", "livenessProbe"):
            told = container.get(probe, {})
            if "httpGet" in told and container["name"] == "process":
                assert told["timeoutSeconds"] >= 5, (name, probe)
        words = [*container.get("command", ()), *container.get("args", ())]
        loops = [word for word in words if "while " in word]
        # The first process of a container ignores a signal that it has no handler of.
        assert all("trap" in word and "TERM" in word for word in loops), name


def test_an_adapter_may_ask_prometheus_for_the_lag(overlay: str) -> None:
    [rule] = of_kind(overlay, "NetworkPolicy")["prometheus"]["spec"]["ingress"]
    assert rule["from"] == [
        {"namespaceSelector": {"matchLabels": {"voltick.io/may-ask": "metrics"}}}
    ]
    [service] = of_kind(overlay, "Service")["prometheus"]["spec"]["ports"]
    assert rule["ports"] == [{"protocol": "TCP", "port": service["port"]}]


def _readable(env: Any) -> dict[str, str]:
    """Leave out what names a file that is there in the pod alone."""
    return {k: v for k, v in env.items() if not k.endswith(("_FILE", "_LOCATION"))}


def test_each_feed_has_one_ingest(overlay: str) -> None:
    of_ingest = {
        name: container
        for name, container in cluster_containers(overlay).items()
        if container.module == "flows.ingest"
    }
    feeds = [container.env["VOLTICK_FEED"] for container in of_ingest.values()]
    for container in cluster_containers(overlay).values():
        if container.module in {"flows.pipeline", "serving", "training.retrain"}:
            assert sorted(container.env["VOLTICK_FEED"].split(",")) == sorted(feeds)
    for name in of_ingest:
        told = of_kind(overlay, "Deployment")[name.partition("/")[2]]["spec"]
        assert (told["replicas"], told["strategy"]["type"]) == (1, "Recreate")


def test_every_target_is_trained(overlay: str) -> None:
    trained = {
        option.removeprefix("--target=")
        for container in cluster_containers(overlay).values()
        for option in container.options
        if option.startswith("--target=")
    }
    assert trained == set(Settings().targets)


def test_what_scales_has_no_number_of_its_own(overlay: str) -> None:
    deployments = of_kind(overlay, "Deployment")
    partitions = int(of_kind_data(overlay).get("VOLTICK_PARTITIONS", Settings().partitions))
    scalers = of_kind(overlay, "HorizontalPodAutoscaler")
    assert set(scalers) == (set() if overlay == "local" else {"pipeline", "api"})
    assert of_kind_data(overlay)["VOLTICK_ASSIGNMENT"] == "group"
    for name, scaler in scalers.items():
        assert "replicas" not in deployments[name]["spec"]
        assert scaler["spec"]["minReplicas"] >= 2
        kinds = {metric["type"] for metric in scaler["spec"]["metrics"]}
        assert kinds == ({"Resource", "External"} if name == "pipeline" else {"Resource"})
    if scalers:
        assert scalers["pipeline"]["spec"]["maxReplicas"] == partitions


def of_kind_data(overlay: str) -> dict[str, str]:
    [found] = [d["data"] for name, d in of_kind(overlay, "ConfigMap").items() if "voltick-" in name]
    return dict(found)


def test_nothing_is_reached_that_is_not_named(overlay: str) -> None:
    policies = of_kind(overlay, "NetworkPolicy")
    assert policies["none"]["spec"] == {
        "podSelector": {},
        "policyTypes": ["Ingress", "Egress"],
    }
    reachable = [
        name
        for name, policy in policies.items()
        if any("ipBlock" in to for rule in policy["spec"].get("egress", ()) for to in rule["to"])
    ]
    beside = {"local": [], "production": ["strimzi"]}.get(overlay, ["kafka", "models-in-s3"])
    assert sorted(reachable) == sorted(["alertmanager", "venues", *beside])
