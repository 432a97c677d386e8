"""The archive in a bucket of S3, or of anything that speaks its protocol.

Addresses, credentials and region are the usual ones of AWS (``AWS_ENDPOINT_URL``,
``AWS_ACCESS_KEY_ID``, ``~/.aws/config``, a role of the machine). The service has to keep
conditional writes (``If-Match``, ``If-None-Match``): they take the place of a lock.
"""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

from flows.connectors.parquet.storage import Held
from flows.errors import ArchiveError, FencedError, needs_extra

SCHEME = "s3://"

_ATTEMPTS = 5
_CONNECT_S = 5
_ANSWER_S = 30
_WRITER = "writer"
_MISSING = 404
# Somebody else has changed the object, is changing it, or has removed it.
_CHANGED = (_MISSING, 409, 412)
_WRITTEN, _READ = "written", "read"


class S3Storage:
    """Objects below a prefix of a bucket.

    Parameters
    ----------
    url
        ``s3://BUCKET/PREFIX``.

    Raises
    ------
    ArchiveError
        The client library is not installed.
    """

    def __init__(self, url: str) -> None:
        self._bucket, _, prefix = url.removeprefix(SCHEME).strip("/").partition("/")
        self._root = f"{prefix}/" if prefix else ""
        self._client, self._errors = _connect()
        self._id = uuid4().hex

    @property
    def name(self) -> str:
        """The URL."""
        return f"{SCHEME}{self._bucket}/{self._root}".rstrip("/")

    def url(self, path: str) -> str:
        """Return the URL of an object."""
        return f"{SCHEME}{self._bucket}/{self._root}{path}"

    def hold(self, path: str, what: str, *, shared: bool = False) -> Held:
        """Return at once: a bucket has no locks, and :meth:`swap` finds a second owner."""
        del path, what, shared
        return _NothingHeld()

    def take_turn(self, path: str) -> Held:
        """Return at once: a bucket has no locks; of two writers :meth:`swap` refuses one."""
        del path
        return _NothingHeld()

    def put(self, path: str, content: bytes | memoryview) -> None:
        """Write an object; S3 shows all of it or nothing."""
        try:
            self._put(path, content)
        except self._errors as error:
            raise self._refused(_WRITTEN, error) from None

    def read(self, path: str) -> bytes | None:
        """Return an object's content; None where there is none."""
        found = self.read_version(path)
        return None if found is None else found[0]

    def read_version(self, path: str) -> tuple[bytes, str] | None:
        """Return an object's content and its ETag; None where there is none."""
        found = self._get(path)
        return None if found is None else found[:2]

    def swap(self, path: str, content: bytes, version: str | None) -> str:
        """Replace an object by a conditional write; return its new ETag."""
        condition = {"IfNoneMatch": "*"} if version is None else {"IfMatch": version}
        try:
            return self._put(path, content, **condition)
        except self._errors as error:
            if _status(error) not in _CHANGED:
                raise self._refused(_WRITTEN, error) from None
        # A write whose answer was lost has been sent again, and met its own result.
        found = self._get(path)
        if found is not None and found[0] == content and found[2] == self._id:
            return found[1]
        message = f"{self.name}: another process has taken over {path}"
        raise FencedError(message)

    def files(self, prefix: str) -> Iterator[tuple[str, int]]:
        """Yield objects by path, in order of their names."""
        for path, found in self._list(prefix):
            yield path, found["Size"]

    def versions(self, prefix: str) -> Iterator[tuple[str, str]]:
        """Yield objects by path with their ETags."""
        for path, found in self._list(prefix):
            yield path, str(found["ETag"])

    def delete(self, path: str) -> None:
        """Remove an object, if it is there."""
        try:
            self._client.delete_object(Bucket=self._bucket, Key=self._root + path)
        except self._errors as error:
            raise self._refused(_WRITTEN, error) from None

    def _list(self, prefix: str) -> Iterator[tuple[str, Any]]:
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, Prefix=self._root + prefix
        )
        try:
            for page in pages:
                for each in page.get("Contents", ()):
                    path = each["Key"].removeprefix(self._root)
                    if path and not path.endswith("/"):  # what consoles make of a folder
                        yield path, each
        except self._errors as error:
            raise self._refused(_READ, error) from None

    def _put(self, path: str, content: bytes | memoryview, **condition: str) -> str:
        answer = self._client.put_object(
            Bucket=self._bucket,
            Key=self._root + path,
            Body=bytes(content),
            Metadata={_WRITER: self._id},
            **condition,
        )
        return str(answer["ETag"])

    def _get(self, path: str) -> tuple[bytes, str, str | None] | None:
        """Return an object's content, ETag and writer; None where there is none."""
        try:
            answer = self._client.get_object(Bucket=self._bucket, Key=self._root + path)
            content = answer["Body"].read()
        except self._errors as error:
            if _status(error) == _MISSING and _code(error) != "NoSuchBucket":
                return None
            raise self._refused(_READ, error) from None
        return content, str(answer["ETag"]), answer["Metadata"].get(_WRITER)

    def _refused(self, what: str, error: Exception) -> ArchiveError:
        return ArchiveError(
            f"the archive {self.name} cannot be {what}: {error}; nothing is lost, start again once"
            " it can"
        )


class _NothingHeld:
    def close(self) -> None:
        return


def _connect() -> tuple[Any, tuple[type[Exception], ...]]:
    """Return a client, and the errors that it raises."""
    # Here, not above: it comes with an extra, and takes a while to import.
    try:
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError, ClientError
        from urllib3.exceptions import HTTPError
    except ImportError:
        raise ArchiveError(needs_extra("an archive in S3", "s3")) from None
    config = Config(
        retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
        connect_timeout=_CONNECT_S,
        read_timeout=_ANSWER_S,
        # Other servers than AWS's do not know the newer checksums.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    errors = (BotoCoreError, ClientError, HTTPError, OSError)
    try:
        return boto3.client("s3", config=config), errors
    except (BotoCoreError, ValueError) as error:
        message = f"no client of S3 can be made: {error}"
        raise ArchiveError(message) from None


def _status(error: Exception) -> int | None:
    """Return the HTTP status of a refusal; None where there was no answer."""
    answer = getattr(error, "response", None)
    metadata = answer.get("ResponseMetadata", {}) if isinstance(answer, dict) else {}
    status: int | None = metadata.get("HTTPStatusCode")
    return status


def _code(error: Exception) -> str | None:
    answer = getattr(error, "response", None)
    code: str | None = answer.get("Error", {}).get("Code") if isinstance(answer, dict) else None
    return code
