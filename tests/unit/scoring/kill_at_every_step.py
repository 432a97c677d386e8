"""Run one store operation, killed just before each of its system calls in turn.

``python kill_at_every_step.py publish|move FOLDER`` forks a child per step, each with a store of
its own under FOLDER; prints as JSON the stores, the last of which was not killed.
"""

import itertools
import json
import os
import shutil
import signal
import sys
from pathlib import Path

from flows.scoring.registry import ModelStore
from tests.support.models import publish_tiny, tiny

STEPS = ("mkdir", "fsync", "rename", "replace", "write")
TARGET = "volatility_spike"


def operate(operation: str, store: ModelStore) -> None:
    if operation == "publish":
        store.publish(*tiny(0.8, name="new"), {"report.html": b"<p>"})
    else:
        champion = next(ref for ref in store.refs() if ref.startswith("second@"))
        store.move(TARGET, champion=champion, by="victim")


def prepare(root: Path) -> None:
    store = ModelStore(root)
    first = publish_tiny(store, 0.2, name="first")
    publish_tiny(store, 0.4, name="second")
    store.move(TARGET, champion=first, by="before")


def die_before(step: int) -> None:
    calls = itertools.count()

    def guarded(call):
        def wrapper(*args, **kwargs):
            if next(calls) == step:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*args, **kwargs)

        return wrapper

    for name in STEPS:
        setattr(os, name, guarded(getattr(os, name)))


def main(operation: str, folder: Path) -> None:
    template = folder / "template"
    prepare(template)
    stores = []
    for step in itertools.count():
        root = folder / f"step{step}"
        shutil.copytree(template, root)
        stores.append(str(root))
        child = os.fork()
        if child == 0:
            die_before(step)
            operate(operation, ModelStore(root))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if os.WIFEXITED(status):
            sys.stdout.write(json.dumps({"stores": stores, "exit": os.WEXITSTATUS(status)}))
            return


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
