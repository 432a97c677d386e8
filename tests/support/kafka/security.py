"""SCRAM and TLS for a test broker: a throw-away authority, one certificate for loopback."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

USER = "voltick"
MECHANISM = "SCRAM-SHA-256"


@dataclass(frozen=True)
class Security:
    """What a SASL_SSL listener and its clients need.

    Attributes
    ----------
    folder
        Holds ``ca.pem`` and ``server.pem`` (key and certificate).
    password
        Of ``USER``; drawn by the caller.
    """

    folder: Path
    password: str
    listener: str = "SASL_SSL"

    def format_arguments(self) -> list[str]:
        """Return what tells the storage tool about the user."""
        return ["--add-scram", f"{MECHANISM}=[name={USER},password={self.password}]"]

    def broker_properties(self) -> dict[str, str]:
        """Return the listener's part of ``server.properties``."""
        return {
            "sasl.enabled.mechanisms": MECHANISM,
            "listener.name.sasl_ssl.scram-sha-256.sasl.jaas.config": (
                "org.apache.kafka.common.security.scram.ScramLoginModule required;"
            ),
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(self.folder / "server.pem"),
        }

    def client_config(self) -> dict[str, str]:
        """Return the librdkafka settings of a client that is let in."""
        return {
            "security.protocol": "SASL_SSL",
            "sasl.mechanism": MECHANISM,
            "sasl.username": USER,
            "sasl.password": self.password,
            "ssl.ca.location": str(self.folder / "ca.pem"),
        }

    def environment(self) -> dict[str, str]:
        """Return the product's settings for the same client."""
        return {
            "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
            "KAFKA_SASL_MECHANISM": MECHANISM,
            "KAFKA_SASL_USERNAME": USER,
            "KAFKA_SASL_PASSWORD": self.password,
            "KAFKA_SSL_CA_LOCATION": str(self.folder / "ca.pem"),
        }


def make_security(folder: Path, password: str) -> Security:
    """Create the certificates in an existing folder; skip where ``openssl`` is missing."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("TLS tests need the `openssl` command")

    def run(*arguments: str) -> None:
        subprocess.run([openssl, *arguments], cwd=folder, check=True, capture_output=True)

    new_key = ["-newkey", "rsa:2048", "-nodes"]
    two_days = ["-days", "2"]
    (folder / "extensions").write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\n", "utf-8")
    authority = ["-x509", "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=voltick-tests"]
    run("req", *authority, *new_key, *two_days)
    server = ["-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=127.0.0.1"]
    run("req", *server, *new_key)
    signing = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "extensions"]
    run("x509", "-req", "-in", "server.csr", "-out", "server.crt", *signing, *two_days)
    whole = "".join((folder / name).read_text("utf-8") for name in ("server.key", "server.crt"))
    (folder / "server.pem").write_text(whole, "utf-8")
    return Security(folder, password)
