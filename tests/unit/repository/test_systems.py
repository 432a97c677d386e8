"""What only some systems have is called in one room, which says what happens elsewhere."""

import ast
from collections.abc import Iterator

import pytest

from tests.support.docs import ROOT

THE_ONE_ROOM = ROOT / "flows/host"
# By Python's documentation, what it has on Unix alone.
MODULES = {"fcntl", "grp", "posix", "pty", "pwd", "resource", "syslog", "termios", "tty", "ctypes"}
NAMES = {
    "os": {
        *("fork", "forkpty", "setsid", "getsid", "setpgid", "getpgid", "getpgrp", "setpgrp"),
        *("killpg", "nice", "getpriority", "setpriority", "wait", "wait3", "wait4", "waitid"),
        *("getuid", "geteuid", "getgid", "getegid", "getgroups", "setuid", "seteuid", "setgid"),
        *("setegid", "setgroups", "initgroups", "setreuid", "setregid", "chroot", "chown"),
        *("fchown", "lchown", "fchdir", "mkfifo", "mknod", "sync", "statvfs", "fstatvfs"),
        *("pread", "pwrite", "preadv", "pwritev", "readv", "writev", "sendfile", "splice"),
        *("lockf", "sysconf", "confstr", "getloadavg", "uname", "openpty", "pidfd_open"),
        *("memfd_create", "eventfd", "register_at_fork", "sched_setaffinity", "sched_yield"),
        *("sched_getaffinity", "posix_spawn", "posix_fadvise", "posix_fallocate", "execvp"),
        *("O_NONBLOCK", "O_DIRECTORY", "O_NOFOLLOW", "O_CLOEXEC", "O_SYNC", "O_DSYNC"),
        *("WNOHANG", "WIFEXITED", "WEXITSTATUS", "EX_OK", "EX_USAGE", "EX_SOFTWARE"),
    },
    "signal": {
        *("SIGHUP", "SIGKILL", "SIGPIPE", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGCHLD", "SIGALRM"),
        *("SIGTSTP", "SIGCONT", "SIGSTOP", "SIGWINCH", "SIGXCPU", "SIGXFSZ", "alarm", "pause"),
        *("setitimer", "siginterrupt", "pthread_kill", "pthread_sigmask", "sigwait"),
    },
    "select": {"poll", "epoll", "kqueue"},
    "socket": {"AF_UNIX", "SO_REUSEPORT", "SCM_RIGHTS"},
}
KEYWORDS = {"start_new_session", "process_group", "preexec_fn", "pass_fds"}
PLACES = ("/proc", "/dev/", "/tmp", "/bin/", "/etc/", "/sys/", "/var/")  # noqa: S108


def _imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module or ""] if isinstance(node, ast.ImportFrom) else []


def uses(text: str) -> Iterator[str]:
    """Yield what a module's text uses that only some systems have."""
    for node in ast.walk(ast.parse(text)):
        yield from (name for name in _imported(node) if name.split(".")[0] in MODULES)
        if isinstance(node, ast.ImportFrom) and node.module in NAMES:
            yield from (name.name for name in node.names if name.name in NAMES[node.module])
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if node.attr in NAMES.get(node.value.id, ()):
                yield f"{node.value.id}.{node.attr}"
        elif isinstance(node, ast.keyword) and node.arg in KEYWORDS:
            yield node.arg
        elif isinstance(node, ast.Constant) and str(node.value).startswith(PLACES):
            yield str(node.value)


def test_what_only_some_systems_have_is_used_in_one_room() -> None:
    modules = [
        path
        for room in ("flows", "serving", "training", "schemas")
        for path in sorted((ROOT / room).rglob("*.py"))
        if not path.is_relative_to(THE_ONE_ROOM)
    ]
    found = {str(path.relative_to(ROOT)): list(uses(path.read_text("utf-8"))) for path in modules}
    assert {name: used for name, used in found.items() if used} == {}


def test_that_room_uses_some_of_it() -> None:
    texts = [path.read_text("utf-8") for path in THE_ONE_ROOM.glob("*.py")]
    found = {name for text in texts for name in uses(text)}
    assert {"fcntl", "ctypes", "os.killpg", "os.geteuid", "signal.SIGKILL"} <= found
    assert {"os.setpriority", "start_new_session", "/dev/shm"} <= found  # noqa: S108


SAMPLES = {
    "module": ("import fcntl", ["fcntl"]),
    "from-a-module": ("from resource import getrusage", ["resource"]),
    "from-os": ("from os import fork, path", ["fork"]),
    "attribute": ("import os\nos.kill(1, 2)\nos.killpg(1, 2)", ["os.killpg"]),
    "signal": ("import signal\nsignal.SIGTERM, signal.SIGHUP", ["signal.SIGHUP"]),
    "keyword": ("Popen(x, start_new_session=True)", ["start_new_session"]),
    "place": ("open('/proc/self/stat')", ["/proc/self/stat"]),
    "formatted-place": ("open(f'/proc/{pid}/stat')", ["/proc/"]),
}


@pytest.mark.parametrize(("text", "found"), SAMPLES.values(), ids=SAMPLES)
def test_the_check_sees_what_it_looks_for(text: str, found: list[str]) -> None:
    assert list(uses(text)) == found
