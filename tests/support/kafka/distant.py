"""Apache Kafka whose nodes are far from each other; clients are near to all of them."""

from pathlib import Path

from tests.support.kafka.apache import ApacheNode
from tests.support.kafka.proxied import ProxiedKafka
from tests.support.polling import free_ports
from tests.support.tcp_proxy import Delay, TcpProxy

SHORTEST_S = 0.05
LONGEST_S = 0.2


class DistantKafka(ProxiedKafka):
    """Three nodes: replication, transaction markers and the controllers' votes go by slow proxies.

    Parameters
    ----------
    seed
        Of the time that each chunk is under way, 50 to 200 ms in each direction.
    """

    def __init__(self, folder: Path, seed: int) -> None:
        super().__init__(folder, nodes=3)
        self._delays: dict[int, Delay] = {}
        self._proxies: list[TcpProxy] = []
        for node in self.nodes:
            node.nodes_port, node.voters_port = free_ports(2)
            delay = Delay(SHORTEST_S, LONGEST_S, seed * len(self.nodes) + node.number)
            self._delays[node.number] = delay
            self._proxies += [
                TcpProxy(node.internal_port, node.nodes_port, delay=delay),
                TcpProxy(node.controller_port, node.voters_port, delay=delay),
            ]
        self.proxies.extend(self._proxies)

    @property
    def all_roads_used(self) -> bool:
        """Whether every node was reached by others both as a broker and as a controller."""
        return all(proxy.connections for proxy in self._proxies)

    def stall(self, node: ApacheNode, seconds: float) -> None:
        """For a while let no node reach this one, nor get an answer from it."""
        self._delays[node.number].stall(seconds)
