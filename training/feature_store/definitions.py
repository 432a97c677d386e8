"""The text of a Feast repository, made from the features' contract. Pure."""

from schemas.features import FEATURE_SET, FEATURES, Feature

PROJECT = "voltick"
VIEW = f"tick_features_{FEATURE_SET}"
SERVICE = f"feature_set_{FEATURE_SET}"
DATA = "data/tick_features"
REDIS_VARIABLE = "FEAST_REDIS"
"""Holds Feast's form of the Redis address, so that no password lies in a file."""

MEMORY_S = 3_600
"""A row says nothing about a moment that lies further behind it than features remember."""

_HEAD = f'''"""Made from FEATURE_SET {FEATURE_SET} by python -m training.feast generate."""

from datetime import timedelta

from feast import Entity, FeatureService, FeatureView, Field, FileSource, ValueType
from feast.types import Bool, Float32

venue = Entity(name="venue", join_keys=["venue"], value_type=ValueType.STRING)
symbol = Entity(name="symbol", join_keys=["symbol"], value_type=ValueType.STRING)

rows = FileSource(name="{VIEW}_rows", path="{DATA}", timestamp_field="event_timestamp")

{VIEW} = FeatureView(
    name="{VIEW}",
    entities=[venue, symbol],
    ttl=timedelta(seconds={MEMORY_S}),
    schema=[
        Field(name="warm", dtype=Bool, description="true from 300 s of history on"),
'''
_TAIL = f'''    ],
    source=rows,
    tags={{"feature_set": "{FEATURE_SET}"}},
)

{SERVICE} = FeatureService(name="{SERVICE}", features=[{VIEW}])
'''


def definitions() -> str:
    """Return ``features.py``: entities, one view with every feature, one service."""
    return _HEAD + "".join(_field(feature) for feature in FEATURES) + _TAIL


def store_file() -> str:
    """Return ``feature_store.yaml``: files offline, Redis online."""
    return f"""project: {PROJECT}
provider: local
registry: data/registry.db
offline_store:
  type: file
online_store:
  type: redis
  connection_string: ${{{REDIS_VARIABLE}}}
entity_key_serialization_version: 3
"""


def _field(feature: Feature) -> str:
    told = feature.formula + (f"; null: {feature.undefined}" if feature.undefined else "")
    return (
        f"        Field(\n            name={feature.name!r},\n            dtype=Float32,\n"
        f"            description={told!r},\n            tags={{'unit': {feature.unit!r}}},\n"
        "        ),\n"
    )
