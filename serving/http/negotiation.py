"""What a client takes and what it has already, by the headers of its request (RFC 9110)."""

_ANY = "*"


def takes_gzip(accepted: str | None) -> bool:
    """Tell whether an ``Accept-Encoding`` header lets an answer be compressed by gzip.

    A weight of 0 refuses; without the header nothing is compressed.
    """
    weights = {}
    for each in (accepted or "").lower().split(","):
        name, _, parameters = each.partition(";")
        weights[name.strip()] = _weight(parameters)
    return weights.get("gzip", weights.get(_ANY, 0.0)) > 0.0


def has_already(known: str | None, etag: str) -> bool:
    """Tell whether an ``If-None-Match`` header names an entity tag.

    Compared weakly, as the RFC asks for: a proxy that compresses makes a strong tag a weak one.
    """
    tags = [each.strip().removeprefix("W/") for each in (known or "").split(",")]
    return _ANY in tags or etag.removeprefix("W/") in tags


def _weight(parameters: str) -> float:
    """Return the weight among a coding's parameters, 1 where there is none that can be read."""
    name, _, value = parameters.strip().partition("=")
    if name.strip() != "q":
        return 1.0
    try:
        return float(value)
    except ValueError:
        return 1.0
