"""JSON of figures: one encoder for reports, histories and the lines that commands end with."""

import msgspec
import numpy as np


def encode_json(value: object) -> bytes:
    """Return JSON; numpy numbers are numbers, NaN and infinity are null."""
    return msgspec.json.encode(value, enc_hook=_plain)


def _plain(value: object) -> object:
    if isinstance(value, np.generic):
        return value.item()
    msg = f"no JSON for {type(value).__name__}"
    raise NotImplementedError(msg)
