"""Apache Kafka at the end of a bad road: its clients go through a proxy that can be disturbed."""

from pathlib import Path

from tests.support.kafka.proxied import ProxiedKafka
from tests.support.polling import free_ports
from tests.support.tcp_proxy import Delay, TcpProxy


class FarKafka(ProxiedKafka):
    """One node, which tells its clients the proxy's address.

    Parameters
    ----------
    seed
        Of the time that each chunk is under way.

    Attributes
    ----------
    road
        How long bytes are under way, and how many get through.
    proxy
        What lies between.
    """

    def __init__(self, folder: Path, seed: int) -> None:
        super().__init__(folder)
        [node] = self.nodes
        [node.clients_port] = free_ports(1)
        self.road = Delay(seed=seed)
        self.proxy = TcpProxy(node.port, node.clients_port, delay=self.road)
        self.proxies.append(self.proxy)
