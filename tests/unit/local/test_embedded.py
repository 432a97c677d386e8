"""The embedded servers answer on loopback and end with their supervisor."""

import redis
from confluent_kafka.admin import AdminClient

from flows.local.embedded import start_broker, start_redis
from flows.local.supervisor import Supervisor
from tests.support.polling import listening


def test_broker_and_redis_answer_and_end() -> None:
    with Supervisor() as supervisor:
        waits = start_broker(supervisor), start_redis(supervisor)
        (bootstrap, broker), (url, _) = [wait() for wait in waits]
        assert AdminClient({"bootstrap.servers": bootstrap}).list_topics(timeout=10).brokers
        with redis.Redis.from_url(url) as client:
            assert client.ping()
        host, port = bootstrap.rsplit(":", 1)
        assert host == "127.0.0.1"
        assert broker.popen.poll() is None
    assert not listening(int(port))
