"""Settings of what is scored, and how: models, feed, topics and transactions."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field

from flows.settings.types import (
    FeedSpec,
    Folder,
    HttpUrl,
    ModelRef,
    Names,
    ReplaySpeed,
    Symbols,
    Targets,
    WebSocketUrl,
)
from schemas.features import MAX_SYMBOLS
from schemas.feeds import FeedName
from schemas.ticks import LATEST_NS


class DataflowSettings(BaseModel):
    """Models, feed, topics and transactions."""

    model_variant: str | None = Field(
        None,
        alias="MODEL_VARIANT",
        description="Serve the newest model of this variant instead of the champion.",
    )
    model_version: ModelRef | None = Field(
        None, alias="MODEL_VERSION", description="Serve exactly this `name@version`."
    )
    model_store: Folder = Field(
        Path(".voltick/models"),
        alias="VOLTICK_MODEL_STORE",
        description="Folder of the model store.",
    )
    targets: Targets = Field(
        ("volatility_spike", "forward_return"),
        alias="VOLTICK_TARGETS",
        description="Targets to score, comma-separated; one without a champion is left out.",
    )
    feed: FeedSpec = Field(
        FeedName.AUTO.value,
        alias="VOLTICK_FEED",
        description="One or several, comma-separated: `auto` (live Coinbase; the simulator only on"
        " an embedded broker), `coinbase-exchange`, `coinbase-advanced`, `binance`,"
        " `coinbase-rest`, `binance-rest`, `simulate` or `replay:PATH` (a recording, or a folder of"
        " them).",
    )
    feed_url: WebSocketUrl | None = Field(
        None,
        alias="VOLTICK_FEED_URL",
        description="Another WebSocket address for the live feed, where one is named.",
    )
    coinbase_exchange_url: WebSocketUrl | None = Field(
        None,
        alias="VOLTICK_COINBASE_EXCHANGE_URL",
        description="Another WebSocket address for `coinbase-exchange`.",
    )
    coinbase_advanced_url: WebSocketUrl | None = Field(
        None,
        alias="VOLTICK_COINBASE_ADVANCED_URL",
        description="Another WebSocket address for `coinbase-advanced`.",
    )
    binance_url: WebSocketUrl | None = Field(
        None,
        alias="VOLTICK_BINANCE_URL",
        description="Another WebSocket address for `binance`.",
    )
    coinbase_rest_url: HttpUrl | None = Field(
        None,
        alias="VOLTICK_COINBASE_REST_URL",
        description="Another HTTP address for Coinbase Exchange: `coinbase-rest`, backfills.",
    )
    binance_rest_url: HttpUrl | None = Field(
        None,
        alias="VOLTICK_BINANCE_REST_URL",
        description="Another HTTP address for Binance: `binance-rest`, backfills.",
    )
    yahoo_url: HttpUrl | None = Field(
        None,
        alias="VOLTICK_YAHOO_URL",
        description="Another address for Yahoo's requests.",
    )
    chart_backfill: bool = Field(
        True,
        alias="VOLTICK_CHART_BACKFILL",
        description="With a live feed, ingest asks the venue's REST for the last hour's minute bars"
        " at its start and leaves them in Redis for the chart, marked as backfill. A feed at"
        " another address than the venue's own is left out, unless the REST address is set, too.",
    )
    poll_interval_s: float = Field(
        1.0,
        alias="VOLTICK_POLL_INTERVAL_S",
        ge=0.1,
        le=60,
        description="How often `coinbase-rest` and `binance-rest` ask for each symbol, as far as"
        " the venue's request limit allows it.",
    )
    symbols: Symbols = Field(
        ("BTC-USD", "ETH-USD"),
        alias="VOLTICK_SYMBOLS",
        description="Symbols a live or simulated feed asks for, comma-separated; `binance:BTC-USDT`"
        " is for that feed alone, which then does not get the common ones.",
    )
    allowed_symbols: Names = Field(
        (),
        alias="VOLTICK_ALLOWED_SYMBOLS",
        description="If set, ticks of other symbols are dead-lettered. Names as in the ticks; one"
        " as `VOLTICK_SYMBOLS` takes it (`btc-usd`, `BTC/USD`, `binance:BTC-USDT`) also allows the"
        " symbol that its feed writes, of any venue.",
    )
    max_symbols: int = Field(
        MAX_SYMBOLS,
        alias="VOLTICK_MAX_SYMBOLS",
        ge=1,
        le=1_000_000,
        description="Symbols in memory, per partition. Beyond it nothing is refused: the one that"
        " was silent for longest is forgotten, leaves Redis, and its next tick begins anew. The"
        " same for all processes, training and audit too.",
    )
    replay_speed: ReplaySpeed = Field(
        "1",
        alias="VOLTICK_REPLAY_SPEED",
        description="Replays: 1 keeps the recorded spacing, N divides it, `max` waits for nothing.",
    )
    replay_loop: bool = Field(
        False,
        alias="VOLTICK_REPLAY_LOOP",
        description="Replays: start over at the end, with shifted times and ids.",
    )
    replay_from_s: float = Field(
        0.0,
        alias="VOLTICK_REPLAY_FROM_S",
        ge=0,
        le=31_536_000,
        description="Replays: so many seconds of the recording are sent at full speed first, so"
        " that what follows meets warm windows.",
    )
    simulate_rate_hz: float = Field(
        7.0,
        alias="VOLTICK_SIMULATE_RATE_HZ",
        gt=0,
        le=1_000_000,
        description="Simulated ticks per second, all symbols together.",
    )
    simulate_seed: int = Field(
        7, alias="VOLTICK_SIMULATE_SEED", ge=0, description="Seed of the simulator."
    )
    simulate_history_s: int = Field(
        5_400,
        alias="VOLTICK_SIMULATE_HISTORY_S",
        ge=0,
        le=86_400,
        description="All-in-one runs: seconds of made-up history that the simulator sends at full"
        " speed before its live ticks, fewer where they would be above 100,000 ticks; 0 for none.",
    )
    live_from_ns: int | None = Field(
        None,
        alias="VOLTICK_LIVE_FROM_NS",
        ge=0,
        le=LATEST_NS,
        description="All-in-one runs set it: event time, nanoseconds since the UNIX epoch, before"
        " which ticks are history, made up or recorded, and count for no latency.",
    )
    feed_spacing_us: float = Field(
        0.0,
        alias="VOLTICK_FEED_SPACING_US",
        ge=0,
        le=1_000,
        description="The feed waits so long after a batch, times the batches before it. All-in-one"
        " runs set 20 for the embedded broker, which looks at all it holds for each new one.",
    )
    partitions: int = Field(
        4,
        alias="VOLTICK_PARTITIONS",
        ge=1,
        le=1024,
        description="Partitions of the topics that Voltick creates.",
    )
    replication_factor: int = Field(
        1,
        alias="VOLTICK_REPLICATION_FACTOR",
        ge=1,
        le=16,
        description="Replicas of the topics that Voltick creates.",
    )
    group: str = Field(
        "voltick",
        alias="VOLTICK_GROUP",
        min_length=1,
        max_length=200,
        pattern=r"^[A-Za-z0-9._-]+$",
        description="Consumer group; with the partition it names the transactional producer.",
    )
    assignment: Literal["all", "group"] = Field(
        "group",
        alias="VOLTICK_ASSIGNMENT",
        description="Who reads which partitions. `group`: all processes with the same settings are"
        " members of the consumer group, share them, and take over from each other; `all`: this"
        " process or cluster reads all of them. All-in-one runs on the embedded broker and clusters"
        " by `-i`, `-a` have `all`.",
    )
    group_protocol: Literal["classic", "consumer"] = Field(
        "classic",
        alias="VOLTICK_GROUP_PROTOCOL",
        description="Members speak Kafka's `classic` group protocol, or the `consumer` one, which"
        " needs Apache Kafka 4 and leaves the session time-out to the broker.",
    )
    instance_id: str | None = Field(
        None,
        alias="VOLTICK_INSTANCE_ID",
        max_length=200,
        pattern=r"^[A-Za-z0-9._-]+$",
        description="Names a member of the group beyond its end: one that is started again within"
        " the session time-out gets its partitions back, and no other's move. Unique in the group;"
        " unset, a member that ends leaves at once.",
    )
    session_timeout_ms: int = Field(
        6_000,
        alias="VOLTICK_SESSION_TIMEOUT_MS",
        ge=1_000,
        le=1_800_000,
        description="A member of the group that is silent for so long has lost its partitions; so"
        " long the next start waits after a kill. Brokers take 6000 or more by default.",
    )
    standby: bool = Field(
        False,
        alias="VOLTICK_STANDBY",
        description="Each member of the group follows the partitions of the others, state alone, so"
        " that one that it takes over need not be rebuilt. `flows.pipeline` alone; refused where it"
        " is no member of a group.",
    )
    publish_features: bool = Field(
        True, alias="VOLTICK_PUBLISH_FEATURES", description="Also write `ticks.features`."
    )
    features_format: Literal["numbers", "base64"] = Field(
        "numbers",
        alias="VOLTICK_FEATURES_FORMAT",
        description="How `ticks.features` has its values: as `numbers` in `values`, or as `base64`"
        " of float32 in `values_f32`, which takes half the bytes and a fraction of the time.",
    )
    batch_size: int = Field(
        4096,
        alias="VOLTICK_BATCH_SIZE",
        ge=1,
        le=100_000,
        description="Most messages in one batch.",
    )
    commit_interval_ms: int = Field(
        100,
        alias="VOLTICK_COMMIT_INTERVAL_MS",
        ge=1,
        le=10_000,
        description="Longest time a transaction stays open under backlog.",
    )
    transaction_timeout_ms: int = Field(
        60_000,
        alias="VOLTICK_TRANSACTION_TIMEOUT_MS",
        ge=1_000,
        le=900_000,
        description="After this the broker aborts a transaction whose owner fell silent.",
    )
    accept_state_loss: bool = Field(
        False,
        alias="VOLTICK_ACCEPT_STATE_LOSS",
        description="Go on where the log was trimmed or recreated below the committed offset.",
    )
    start: Literal["auto", "outputs", "beginning"] = Field(
        "auto",
        alias="VOLTICK_START",
        description="Where a partition without a committed offset starts. `auto`: behind the"
        " outputs that are on the topics, refused where another group still writes them; `outputs`:"
        " behind them whoever wrote them; `beginning`: all of the log is scored, once more where it"
        " was before.",
    )
