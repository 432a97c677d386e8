"""Settings of the servers that Voltick talks to: Kafka and Redis."""

from pydantic import BaseModel, Field, SecretStr

from flows.settings.types import Brokers, ReadableFile, RedisUrl, SecurityProtocol, UpperCase

KAFKA_PASSTHROUGH = {
    "KAFKA_SECURITY_PROTOCOL": "security.protocol",
    "KAFKA_SASL_MECHANISM": "sasl.mechanism",
    "KAFKA_SASL_USERNAME": "sasl.username",
    "KAFKA_SASL_PASSWORD": "sasl.password",
    "KAFKA_SSL_CA_LOCATION": "ssl.ca.location",
    "KAFKA_SSL_CERTIFICATE_LOCATION": "ssl.certificate.location",
    "KAFKA_SSL_KEY_LOCATION": "ssl.key.location",
    "KAFKA_SSL_KEY_PASSWORD": "ssl.key.password",
}
"""Variable -> librdkafka's option of the same meaning."""


class ConnectionSettings(BaseModel):
    """Addresses and credentials."""

    kafka_bootstrap_servers: Brokers | None = Field(
        None,
        alias="KAFKA_BOOTSTRAP_SERVERS",
        description="Kafka brokers, `host:port,...`. Unset: an embedded broker is started.",
    )
    kafka_security_protocol: SecurityProtocol | None = Field(
        None, alias="KAFKA_SECURITY_PROTOCOL", description="`PLAINTEXT`, `SSL`, `SASL_SSL`, ..."
    )
    kafka_sasl_mechanism: UpperCase | None = Field(
        None, alias="KAFKA_SASL_MECHANISM", description="`PLAIN`, `SCRAM-SHA-256`, ..."
    )
    kafka_sasl_username: str | None = Field(
        None, alias="KAFKA_SASL_USERNAME", description="SASL user."
    )
    kafka_sasl_password: SecretStr | None = Field(
        None, alias="KAFKA_SASL_PASSWORD", description="SASL password; never logged."
    )
    kafka_ssl_ca_location: ReadableFile | None = Field(
        None, alias="KAFKA_SSL_CA_LOCATION", description="CA certificate file."
    )
    kafka_ssl_certificate_location: ReadableFile | None = Field(
        None, alias="KAFKA_SSL_CERTIFICATE_LOCATION", description="Client certificate file."
    )
    kafka_ssl_key_location: ReadableFile | None = Field(
        None, alias="KAFKA_SSL_KEY_LOCATION", description="Client key file."
    )
    kafka_ssl_key_password: SecretStr | None = Field(
        None, alias="KAFKA_SSL_KEY_PASSWORD", description="Client key's password; never logged."
    )
    redis_url: RedisUrl | None = Field(
        None,
        alias="REDIS_URL",
        description="`redis://` or `rediss://` URL. Unset: all-in-one runs start an embedded"
        " Valkey; a flow by itself shows its scores nowhere but on Kafka.",
    )
