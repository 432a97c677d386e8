"""The jars of an Apache Kafka broker, fetched once from Maven Central into a cache."""

import fcntl
import hashlib
import os
import shutil
import signal
import subprocess
import tempfile
from functools import cache
from pathlib import Path

from tests.support.polling import die_with_parent

POM = Path(__file__).with_name("kafka-pom.xml")
# With the start of a broker it must fit into pytest's time for one test.
FETCH_LIMIT_S = 90.0


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
    """Return the class path of the broker, fetching the jars at first use."""
    java()
    return f"{jars_folder(POM, 'kafka')}/*"


def jars_folder(pom: Path, name: str, limit_s: float | None = None) -> Path:
    """Return the folder of the jars that a pom names, fetching them at first use.

    It is named by the hash of the pom and put in place by one rename, so that processes which fetch
    at the same time, or are killed, leave a whole one or none.

    Raises
    ------
    JarsUnavailableError
        Maven is missing, could not fetch or took too long (``FETCH_LIMIT_S`` if not said).
    """
    digest = hashlib.sha256(pom.read_bytes()).hexdigest()[:12]
    folder = cache_folder() / f"{name}-{digest}"
    if not folder.is_dir():
        _fetch(pom, folder, FETCH_LIMIT_S if limit_s is None else limit_s)
    return folder


def classpath_of_run(folder: Path) -> str:
    """Return the same, but ask once in a run of tests: what was refused is refused again at once.

    Parameters
    ----------
    folder
        Existing, common to all workers of the run; they ask in turn.
    """
    refusal = folder / "kafka-jars.refused"
    with (folder / "kafka-jars.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if refusal.exists():
            raise JarsUnavailableError(refusal.read_text("utf-8"))
        try:
            return kafka_classpath()
        except JarsUnavailableError as reason:
            refusal.write_text(str(reason), "utf-8")
            raise


def _fetch(pom: Path, folder: Path, limit_s: float) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        message = f"{pom.name}: jars are not cached and Maven is missing (no `mvn` on the path)"
        raise JarsUnavailableError(message)
    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix="jars-", dir=folder.parent))
    try:
        target = scratch / "jars"
        said = scratch / "maven.log"
        with said.open("wb") as log:
            process = subprocess.Popen(
                [
                    maven,
                    "-B",
                    "-q",
                    "-f",
                    str(pom),
                    "dependency:copy-dependencies",
                    f"-DoutputDirectory={target}",
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=scratch,
                start_new_session=True,
                preexec_fn=die_with_parent,
            )
        if _wait(process, limit_s) != 0:
            last = said.read_text("utf-8", errors="replace").strip().splitlines()[:3]
            message = f"Maven could not fetch the jars of {pom.name}: {' '.join(last)[:300]}"
            raise JarsUnavailableError(message)
        try:
            target.rename(folder)
        except OSError:
            if not folder.is_dir():
                raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _wait(process: subprocess.Popen[bytes], limit_s: float) -> int:
    """Return Maven's exit code, or end it with whatever it started."""
    try:
        return process.wait(limit_s)
    except subprocess.TimeoutExpired as slow:
        message = f"Maven did not fetch the jars within {limit_s:g} s"
        raise JarsUnavailableError(message) from slow
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
