"""A collector of traces: a plain HTTP server that reads OTLP's protobuf."""

from typing import Any, Self

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.support.rest_server import Reply, Request, RestServer


class Collector:
    """Listens on a free port of the loopback interface and keeps every span.

    Attributes
    ----------
    spans
        As protobuf, in the order of their arrival.
    services
        ``service.name`` of each sender.
    """

    def __init__(self) -> None:
        self.spans: list[Any] = []
        self.services: set[str] = set()
        self._server = RestServer(self._take)

    @property
    def url(self) -> str:
        """What ``OTEL_EXPORTER_OTLP_ENDPOINT`` takes."""
        return self._server.url

    def traces(self) -> dict[str, dict[str, Any]]:
        """Return the spans of each trace by name, of those whose root has come."""
        found: dict[str, dict[str, Any]] = {}
        for span in list(self.spans):
            found.setdefault(span.trace_id.hex(), {})[span.name] = span
        return {trace: spans for trace, spans in found.items() if "batch" in spans}

    def _take(self, request: Request) -> Reply:
        assert request.path == "/v1/traces"
        for resource in ExportTraceServiceRequest.FromString(request.body).resource_spans:
            named = {each.key: each.value.string_value for each in resource.resource.attributes}
            self.services.add(named["service.name"])
            for scope in resource.scope_spans:
                self.spans.extend(scope.spans)
        return Reply()

    def __enter__(self) -> Self:
        self._server.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.__exit__(*error)
