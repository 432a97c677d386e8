"""Which predictions give an alert, what is posted, and what happens where posting fails."""

import json
from collections.abc import Iterator

import httpx
import msgspec
import pytest

from flows.alerting.decide import MAX_PLACES, Alert, SpikeAlerts
from flows.alerting.message import EXAMPLE, MessageTemplate
from flows.alerting.post import QUEUED, TRIES, Poster, RateLimit, Webhook
from flows.errors import ConfigurationError
from flows.numeric.time import NS_PER_S
from schemas.predictions import Prediction, TargetScore
from tests.support.api import prediction

START_NS = 1_750_000_000 * NS_PER_S


def spike(at_s: float, symbol: str = "BTC-USD", **changes: object) -> Prediction:
    own = TargetScore(score=0.6, model="m", version="1", variant="x", decision=True)
    plain: dict = {
        "offset": 1,
        "ts_scored_ns": START_NS,
        "ts_event_ns": START_NS + int(at_s * NS_PER_S),
        "warm": True,
        "scores": {"volatility_spike": own},
    }
    return prediction(symbol, **{**plain, **changes})


def alerts(spikes: SpikeAlerts, *predictions: Prediction) -> list[Alert]:
    return [alert for each in predictions for alert in spikes.observe(each)]


def test_a_symbol_alerts_once_until_it_has_cooled_and_says_how_many_were_held_back() -> None:
    spikes = SpikeAlerts(60.0)
    found = alerts(spikes, *(spike(at) for at in (0, 1, 59.9, 60, 61, 130)))
    assert [(each.ts_event_ns - START_NS) // NS_PER_S for each in found] == [0, 60, 130]
    assert [each.suppressed for each in found] == [0, 2, 1]


def test_symbols_venues_and_targets_cool_apart() -> None:
    own = TargetScore(score=0.6, model="m", version="1", variant="x", decision=True)
    both = {"volatility_spike": own, "other": own}
    found = alerts(
        SpikeAlerts(60.0), spike(0, scores=both), spike(1, "ETH-USD"), spike(2, venue="another")
    )
    assert [(each.symbol, each.target) for each in found] == [
        ("BTC-USD", "volatility_spike"),
        ("BTC-USD", "other"),
        ("ETH-USD", "volatility_spike"),
        ("BTC-USD", "volatility_spike"),
    ]


@pytest.mark.parametrize("decision", [False, None], ids=["below the threshold", "a forecast"])
def test_what_decides_nothing_alerts_nobody(decision: bool | None) -> None:
    own = TargetScore(score=0.6, model="m", version="1", variant="x", decision=decision)
    assert alerts(SpikeAlerts(0.0), spike(0, scores={"t": own}), spike(0, warm=False)) == []


def test_a_clock_that_was_set_back_begins_anew_and_memory_is_bounded() -> None:
    spikes = SpikeAlerts(60.0)
    assert len(alerts(spikes, spike(1_000), spike(0))) == 2
    many = alerts(spikes, *(spike(2_000, f"S{number}") for number in range(MAX_PLACES + 10)))
    assert len(many) == MAX_PLACES + 10
    assert len(spikes._last_ns) == MAX_PLACES


def test_the_built_in_message_is_slacks() -> None:
    body = json.loads(MessageTemplate().render(EXAMPLE))
    assert body["text"] == 'BTC-USD": volatility_spike expected, score 0.50, price 64,000'
    assert [block["type"] for block in body["blocks"]] == ["section", "context"]
    assert "2025-06-15" in body["blocks"][1]["elements"][0]["text"]


@pytest.mark.parametrize(
    ("price", "text"),
    [(123_456.78, "123,456.78"), (1_512_345.5, "1,512,345.5"), (1.234e-8, "0.00000001234")],
)
def test_a_price_is_written_out(price: float, text: str) -> None:
    alert = msgspec.structs.replace(EXAMPLE, price=price)
    assert json.loads(MessageTemplate().render(alert))["text"].endswith(f"price {text}")
    own = MessageTemplate('{"price": {{ price | plain | tojson }}}').render(alert)
    assert json.loads(own) == {"price": text}


@pytest.mark.parametrize(
    "text",
    [
        '{"symbol": "{{ symbol }}"}',
        "{{ unknown | tojson }}",
        "{% if %}",
        "plain",
        "{{ (held_back if suppressed else symbol) | tojson }}",
        "{{ 1 / suppressed }}",
    ],
    ids=["unquoted", "unknown field", "no template", "no JSON", "unknown in a branch", "no number"],
)
def test_a_template_that_gives_no_json_is_refused_at_the_start(text: str) -> None:
    with pytest.raises(ConfigurationError, match="file"):
        MessageTemplate(text, "file")


def test_a_template_in_another_encoding_is_refused_by_its_name(tmp_path) -> None:
    path = tmp_path / "own.json"
    path.write_bytes('"Ausschläge"'.encode("latin-1"))
    with pytest.raises(ConfigurationError, match=r"own\.json is not UTF-8"):
        MessageTemplate.of(str(path))


def test_a_template_reaches_nothing_but_the_alert(tmp_path) -> None:
    path = tmp_path / "own.json"
    path.write_text('{"content": {{ (symbol ~ " " ~ target) | tojson }}}')
    template = MessageTemplate.of(str(path))
    assert json.loads(template.render(EXAMPLE)) == {"content": 'BTC-USD" volatility_spike'}
    with pytest.raises(ConfigurationError):
        MessageTemplate("{{ symbol.__class__.__mro__ | tojson }}")


class Server:
    """Answers in turn, and knows what it was asked."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.answers = list(answers)
        self.bodies: list[dict] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.bodies.append(json.loads(request.content))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


class Posting:
    """A poster with a clock that jumps where it would sleep."""

    def __init__(
        self, server: Server, per_minute: int = 100, template: MessageTemplate | None = None
    ) -> None:
        self.now_s = 0.0
        self.slept: list[float] = []
        self.counts: list[str] = []
        client = httpx.Client(transport=httpx.MockTransport(server))
        self.poster = Poster(
            Webhook("http://hook.test/secret", client),
            template or MessageTemplate(),
            RateLimit(per_minute, lambda: self.now_s),
            lambda _target, result: self.counts.append(result),
            self.sleep,
        )

    def sleep(self, seconds: float) -> bool:
        self.slept.append(seconds)
        self.now_s += seconds
        return False


def test_faults_that_pass_are_tried_again_and_retry_after_is_heeded() -> None:
    server = Server(
        httpx.ConnectError("away"),
        httpx.Response(503),
        httpx.Response(429, headers={"Retry-After": "7"}),
        httpx.Response(200),
    )
    posting = Posting(server)
    posting.poster.send(EXAMPLE)
    assert posting.counts == ["sent"]
    assert posting.slept == [1.0, 2.0, 7.0]
    assert len(server.bodies) == 4


def test_a_refusal_is_not_repeated_and_an_outage_ends(caplog) -> None:
    refused = Posting(Server(httpx.Response(404)))
    refused.poster.send(EXAMPLE)
    assert (refused.counts, refused.slept) == (["failed"], [])
    server = Server(httpx.Response(500))
    away = Posting(server)
    away.poster.send(EXAMPLE)
    assert (away.counts, len(server.bodies)) == (["failed"], TRIES)
    assert "secret" not in caplog.text


def test_an_alert_that_the_template_fails_for_does_not_hold_up_the_next() -> None:
    server = Server(httpx.Response(200))
    template = MessageTemplate('{"text": {{ (symbol if price < 70000 else other) | tojson }}}')
    posting = Posting(server, template=template)
    posting.poster.put(msgspec.structs.replace(EXAMPLE, price=80_000.0))
    posting.poster.put(EXAMPLE)
    posting.poster.start()
    posting.poster.close(30.0)
    assert posting.counts == ["failed", "sent"]
    assert server.bodies == [{"text": EXAMPLE.symbol}]


def test_a_minute_has_no_more_than_is_allowed() -> None:
    posting = Posting(Server(httpx.Response(200)), per_minute=2)
    for _ in range(5):
        posting.poster.send(EXAMPLE)
    assert posting.slept == [60.0, 60.0]
    assert posting.counts == ["sent"] * 5


def test_where_too_many_wait_the_oldest_go() -> None:
    server = Server(httpx.Response(200))
    posting = Posting(server, per_minute=1_000)
    for _ in range(QUEUED + 3):
        posting.poster.put(EXAMPLE)
    assert posting.counts == ["dropped"] * 3
    posting.poster.start()
    posting.poster.close(30.0)
    assert len(server.bodies) == QUEUED


class Endless(httpx.SyncByteStream):
    """A page that whoever reads it never gets to the end of."""

    def __iter__(self) -> Iterator[bytes]:
        pytest.fail("the answer's page is read")


@pytest.mark.parametrize(("status", "result"), [(200, "sent"), (404, "failed")])
def test_a_page_without_end_holds_up_no_alert(status: int, result: str) -> None:
    posting = Posting(Server(httpx.Response(status, stream=Endless())))
    posting.poster.send(EXAMPLE)
    assert posting.counts == [result]
