"""The jars of an Apache Kafka broker, fetched once from Maven Central into a cache."""

import hashlib
import os
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

POM = Path(__file__).with_name("kafka-pom.xml")
FETCH_LIMIT_S = 300.0


class JarsUnavailableError(Exception):
    """Java or Maven is missing or cannot fetch; the message is the reason to skip."""


def cache_folder() -> Path:
    """Return where tests keep downloads: ``VOLTICK_TEST_CACHE`` or ``~/.cache/voltick-tests``."""
    chosen = os.environ.get("VOLTICK_TEST_CACHE")
    return Path(chosen) if chosen else Path.home() / ".cache" / "voltick-tests"


@cache
def java() -> str:
    """Return the ``java`` command."""
    found = shutil.which("java")
    if found is None:
        message = "Apache Kafka needs Java 17 (no `java` on the path)"
        raise JarsUnavailableError(message)
    return found


@cache
def kafka_classpath() -> str:
    """Return the class path of the broker, fetching the jars at first use.

    The folder is named by the hash of the pom and put in place by one rename, so that processes
    which fetch at the same time, or are killed, leave a whole one or none.
    """
    java()
    folder = cache_folder() / f"kafka-{hashlib.sha256(POM.read_bytes()).hexdigest()[:12]}"
    if not folder.is_dir():
        _fetch(folder)
    return f"{folder}/*"


def _fetch(folder: Path) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        message = "Apache Kafka's jars are not cached and Maven is missing (no `mvn` on the path)"
        raise JarsUnavailableError(message)
    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix="kafka-", dir=folder.parent))
    try:
        target = scratch / "jars"
        done = subprocess.run(
            [
                maven,
                "-B",
                "-q",
                "-f",
                str(POM),
                "dependency:copy-dependencies",
                f"-DoutputDirectory={target}",
            ],
            capture_output=True,
            text=True,
            timeout=FETCH_LIMIT_S,
            check=False,
            cwd=scratch,
        )
        if done.returncode != 0:
            last = (done.stdout + done.stderr).strip().splitlines()[:3]
            message = f"Maven could not fetch Apache Kafka's jars: {' '.join(last)[:300]}"
            raise JarsUnavailableError(message)
        try:
            target.rename(folder)
        except OSError:
            if not folder.is_dir():
                raise
    except subprocess.TimeoutExpired as slow:
        message = f"Maven did not fetch Apache Kafka's jars within {FETCH_LIMIT_S:g} s"
        raise JarsUnavailableError(message) from slow
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
