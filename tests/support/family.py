"""All processes of one run, also those that have lost the one that started them."""

import uuid

import psutil

# Of the names that the product leaves to its tests.
_MARK = "VOLTICK_TEST_RUN"


class Family:
    """Finds a run's processes by a variable that each hands down to what it starts.

    Valkey writes its title over its environment, so children of a marked process belong too, once
    they were seen.
    """

    def __init__(self) -> None:
        self._mark = uuid.uuid4().hex
        self._seen: set[psutil.Process] = set()

    @property
    def settings(self) -> dict[str, str]:
        """Environment of the run's first process."""
        return {_MARK: self._mark}

    def living(self) -> list[psutil.Process]:
        """Return who has not ended; a zombie has, and waits only for its parent to look."""
        for process in psutil.process_iter():
            if self._is_marked(process):
                self._seen |= {process, *_children(process)}
        return [process for process in self._seen if not _gone(process)]

    def members(self, word: str) -> list[psutil.Process]:
        """Return the living ones with this word in their command line."""
        return [each for each in self.living() if word in _command_line(each)]

    def _is_marked(self, process: psutil.Process) -> bool:
        try:
            return process.environ().get(_MARK) == self._mark
        except psutil.Error:  # another user's, or gone
            return False


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _command_line(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return ""


def _gone(process: psutil.Process) -> bool:
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
