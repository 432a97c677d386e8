"""TLS in front of a server that has none: the Redis of the tests is built without it."""

import ssl
from pathlib import Path

from tests.support.tcp_proxy import TcpProxy


class TlsProxy(TcpProxy):
    """Ends TLS on a free loopback port; a context manager.

    Parameters
    ----------
    certificate
        PEM file with key and certificate.
    target
        Where the plain server listens on loopback.
    """

    def __init__(self, certificate: Path, target: int) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        super().__init__(target, tls=context)
