"""Apache Kafka at the end of a bad road: its clients go through a proxy that can be disturbed."""

from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.kafka.apache import ApacheKafka
from tests.support.polling import free_ports
from tests.support.tcp_proxy import Delay, TcpProxy


class FarKafka(ApacheKafka):
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

    def __enter__(self) -> Self:
        self.proxy.__enter__()
        try:
            return super().__enter__()
        except BaseException:
            self.proxy.__exit__(None, None, None)
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        super().__exit__(kind, error, trace)
        self.proxy.__exit__(None, None, None)
