"""Redis beside the flow: the latest prediction per symbol, its history, and live quality.

``latest``, ``quality``, ``drift`` and ``dead_letters`` say what is written, ``writer`` is the
thread that writes it after the Kafka commit, ``script`` is what Redis does atomically, ``restore``
brings it up to date at start. A Redis that is slow or away never holds up scoring.
"""

from flows.connectors.redis.dead_letters import DeadLetterRateWriter
from flows.connectors.redis.drift import DriftWriter
from flows.connectors.redis.latest import LatestWriter
from flows.connectors.redis.quality import QualityWriter

__all__ = ["DeadLetterRateWriter", "DriftWriter", "LatestWriter", "QualityWriter"]
