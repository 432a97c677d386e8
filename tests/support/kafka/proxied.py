"""Apache Kafka with proxies around its nodes, which live as long as it does."""

from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.support.kafka.apache import ApacheKafka


class ProxiedKafka(ApacheKafka):
    """Starts its proxies before the nodes, and ends them after these.

    Attributes
    ----------
    proxies
        Not started yet; added before the context is entered.
    """

    def __init__(self, folder: Path, nodes: int = 1) -> None:
        super().__init__(folder, nodes=nodes)
        self.proxies: list[AbstractContextManager[Any]] = []
        self._open = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            for proxy in self.proxies:
                stack.enter_context(proxy)
            super().__enter__()
            self._open = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        super().__exit__(kind, error, trace)
        self._open.close()
