"""A namespace's bounds hold all that can run in it at once, what replaces a pod among it."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from tests.support.containers import OVERLAYS, amount, cluster, of_kind, pods

CPUS, MEMORY_BYTES = 4, 6e9


class Need(NamedTuple):
    """What pods ask for: processors, bytes."""

    cpus: float
    memory_bytes: float

    def __add__(self, other: object) -> "Need":
        assert isinstance(other, Need)
        return Need(self.cpus + other.cpus, self.memory_bytes + other.memory_bytes)

    def times(self, count: float) -> "Need":
        return Need(count * self.cpus, count * self.memory_bytes)


def need_of(pod: dict[str, Any]) -> Need:
    """Return what a pod counts for: its containers and those that stay beside them."""
    staying = [each for each in pod.get("initContainers", ()) if each.get("restartPolicy")]
    total = Need(0, 0)
    for each in [*pod["containers"], *staying]:
        told = each["resources"]
        total += Need(amount(told["requests"]["cpu"]), amount(told["limits"]["memory"]))
    return total


def most_replicas(overlay: str) -> Iterator[tuple[str, int]]:
    """Yield, by name, how many pods a Deployment or StatefulSet has while it is rolled out."""
    scalers = of_kind(overlay, "HorizontalPodAutoscaler")
    for kind in ("Deployment", "StatefulSet"):
        for name, told in of_kind(overlay, kind).items():
            scaler = scalers.get(name)
            count = scaler["spec"]["maxReplicas"] if scaler else told["spec"]["replicas"]
            replaced = told["spec"].get("strategy", {}).get("type") == "Recreate"
            # A quarter more while it is rolled out, rounded up, unless it says otherwise.
            surge = 0 if replaced or kind == "StatefulSet" else -(-count // 4)
            yield f"{kind}/{name}", count + surge


def most(overlay: str) -> Need:
    """Return what an overlay asks for at the most; trainings are kept apart by their schedules."""
    found = pods(overlay)
    total = Need(0, 0)
    for name, count in most_replicas(overlay):
        total += need_of(found[name]).times(count)
    total += max(need_of(pod) for name, pod in found.items() if name.startswith("CronJob"))
    for document in cluster(overlay):
        told = document.get("spec", {})
        if document["kind"] == "KafkaNodePool":
            resources = told["resources"]
            own = Need(amount(resources["requests"]["cpu"]), amount(resources["limits"]["memory"]))
            total += own.times(told["replicas"])
        elif document["kind"] == "Kafka":
            resources = told["entityOperator"]["userOperator"]["resources"]
            total += Need(
                amount(resources["requests"]["cpu"]), amount(resources["limits"]["memory"])
            )
    return total


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_a_namespace_has_room_for_all_that_may_run(overlay: str) -> None:
    [quota] = of_kind(overlay, "ResourceQuota").values()
    hard = quota["spec"]["hard"]
    need = most(overlay)
    assert need.cpus <= amount(hard["requests.cpu"])
    assert need.memory_bytes <= amount(hard["limits.memory"])


def test_a_small_machine_holds_the_local_one() -> None:
    [quota] = of_kind("local", "ResourceQuota").values()
    assert amount(quota["spec"]["hard"]["requests.cpu"]) <= CPUS
    assert amount(quota["spec"]["hard"]["limits.memory"]) <= MEMORY_BYTES
