from collections.abc import Callable, Iterator

import httpx
import pytest

from flows.errors import VenueError
from flows.feeds.retrying import Limits, RestClient
from tests.support.rest_server import Reply, Request, RestServer

NOW_S = 1_760_000_000.0


class FakeTime:
    """A clock that moves when somebody sleeps."""

    def __init__(self) -> None:
        self.at_s = 0.0
        self.slept: list[float] = []

    def clock(self) -> float:
        return self.at_s

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.at_s += seconds


@pytest.fixture
def time() -> FakeTime:
    return FakeTime()


@pytest.fixture
def server() -> Iterator[RestServer]:
    with RestServer(lambda _request: Reply(b"[]")) as running:
        yield running


def client(server: RestServer, time: FakeTime, **limits: float) -> RestClient:
    return RestClient(
        "binance",
        server.url,
        Limits(**limits),  # type: ignore[arg-type]
        sleep=time.sleep,
        clock=time.clock,
        now_s=lambda: NOW_S,
    )


def over(answer: Callable[[httpx.Request], httpx.Response], url: str, time: FakeTime) -> RestClient:
    """Return a client of a server that is a function."""
    transport = httpx.MockTransport(answer)
    return RestClient(
        "binance", url, transport=transport, sleep=time.sleep, clock=time.clock, now_s=lambda: NOW_S
    )


def in_turn(*replies: Reply) -> Callable[[Request], Reply]:
    """Give one reply after the other, and the last one for ever."""
    left = list(replies)
    return lambda _request: left.pop(0) if len(left) > 1 else left[0]


def test_an_answer_has_its_body_and_the_servers_clock(server: RestServer, time: FakeTime) -> None:
    with client(server, time) as asking:
        answer = asking.get("/api/v3/klines", {"symbol": "BTCUSDT", "limit": 2})
    assert answer.body == b"[]"
    assert answer.date_s() is not None
    assert server.requests == [Request("/api/v3/klines", {"symbol": "BTCUSDT", "limit": "2"})]
    assert time.slept == []


@pytest.mark.parametrize("status", [408, 418, 425, 429, 500, 502, 503, 504])
def test_a_passing_fault_is_asked_again(server: RestServer, time: FakeTime, status: int) -> None:
    server.answer = in_turn(Reply(b"busy", status), Reply(b"busy", status), Reply(b"[1]"))
    with client(server, time, first_wait_s=1.0) as asking:
        assert asking.get("/", {}).body == b"[1]"
    assert len(server.requests) == 3
    assert len(time.slept) == 2
    assert time.slept[0] <= 1.0
    assert time.slept[1] <= 2.0


@pytest.mark.parametrize("status", [429, 418, 503])
def test_the_pause_that_the_server_asks_for_is_kept(
    server: RestServer, time: FakeTime, status: int
) -> None:
    server.answer = in_turn(Reply(b"", status, {"Retry-After": "7"}), Reply(b"[]"))
    with client(server, time) as asking:
        asking.get("/", {})
    [slept] = time.slept
    assert 7.0 <= slept <= 7.5


def test_a_pause_that_is_too_long_ends_the_request_at_once(
    server: RestServer, time: FakeTime
) -> None:
    server.answer = in_turn(Reply(b'{"msg":"banned"}', 418, {"Retry-After": "7200"}))
    with client(server, time) as asking, pytest.raises(VenueError, match=r"pause of 7200 s") as it:
        asking.get("/", {})
    assert "binance answers 418: banned" in str(it.value)
    assert len(server.requests) == 1


def test_a_refusal_is_not_asked_again_and_has_the_venues_words(
    server: RestServer, time: FakeTime
) -> None:
    server.answer = in_turn(Reply(b'{"code":-1121,"msg":"Invalid symbol."}', 400))
    with client(server, time) as asking, pytest.raises(VenueError, match="Invalid symbol") as it:
        asking.get("/", {})
    assert it.value.status == 400
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_followed_with_its_query(
    server: RestServer, time: FakeTime, status: int
) -> None:
    moved = Reply(b"", status, {"Location": f"{server.url}/v4/klines?symbol=BTCUSDT"})
    server.answer = in_turn(moved, Reply(b"[1]"))
    with client(server, time) as asking:
        assert asking.get("/api/v3/klines", {"symbol": "BTCUSDT"}).body == b"[1]"
    assert server.requests[1] == Request("/v4/klines", {"symbol": "BTCUSDT"})


def test_a_redirect_within_the_venue_is_followed(server: RestServer, time: FakeTime) -> None:
    server.answer = in_turn(Reply(b"", 308, {"Location": "../v4/klines?limit=2"}), Reply(b"[1]"))
    with client(server, time) as asking:
        assert asking.get("/api/v3/klines", {"limit": 2}).body == b"[1]"
    assert server.requests[1] == Request("/api/v4/klines", {"limit": "2"})


def test_a_redirect_to_another_host_takes_no_credentials_along(time: FakeTime) -> None:
    asked: list[tuple[str, str | None]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append((request.url.host, request.headers.get("authorization")))
        if request.url.path == "/first":
            return httpx.Response(302, headers={"location": "/second"})
        if request.url.host == "a.example":
            return httpx.Response(302, headers={"location": "https://b.example/third"})
        return httpx.Response(200, content=b"[]")

    with over(answer, "https://user:hush@a.example", time) as asking:
        asking.get("/first", {})
    basic = "Basic dXNlcjpodXNo"
    assert asked == [("a.example", basic), ("a.example", basic), ("b.example", None)]


def test_a_redirect_from_an_encrypted_address_to_a_plain_one_is_refused(time: FakeTime) -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.scheme)
        return httpx.Response(302, headers={"location": "http://b.example/x?key=hush"})

    words = r"^binance does not answer at https://a\.example: a redirect to http://b\.example/x, "
    with (
        over(answer, "https://user:hush@a.example", time) as asking,
        pytest.raises(VenueError, match=words) as error,
    ):
        asking.get("/first", {})
    assert set(asked) == {"https"}
    assert "hush" not in str(error.value)


def test_redirects_in_a_circle_end(server: RestServer, time: FakeTime) -> None:
    server.answer = in_turn(Reply(b"", 302, {"Location": f"{server.url}/again"}))
    with client(server, time, attempts=2) as asking, pytest.raises(VenueError, match="redirect"):
        asking.get("/", {})


def test_attempts_are_limited(server: RestServer, time: FakeTime) -> None:
    server.answer = in_turn(Reply(b"down", 503))
    with client(server, time, attempts=3) as asking:
        with pytest.raises(VenueError, match="answers 503: down; given up after 3 attempts"):
            asking.get("/", {})
        assert asking.requests == 3
    assert len(server.requests) == 3


def test_an_answer_that_breaks_off_is_asked_again(server: RestServer, time: FakeTime) -> None:
    server.answer = in_turn(Reply(b"[1,", missing_bytes=5), Reply(b"[1,2]"))
    with client(server, time) as asking:
        assert asking.get("/", {}).body == b"[1,2]"


def test_a_server_that_is_not_there_is_named(time: FakeTime) -> None:
    with RestServer(lambda _request: Reply()) as gone:
        url = gone.url
    asking = RestClient("coinbase", url, Limits(attempts=2), sleep=time.sleep, clock=time.clock)
    with asking, pytest.raises(VenueError, match="coinbase does not answer at http"):
        asking.get("/", {})
    assert len(time.slept) == 1


def test_requests_keep_their_distance(server: RestServer, time: FakeTime) -> None:
    with client(server, time, interval_s=0.25) as asking:
        for _ in range(3):
            asking.get("/", {})
        asking.pause(60.0)
        asking.get("/", {})
    assert time.slept == pytest.approx([0.25, 0.25, 60.0])
