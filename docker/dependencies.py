"""Print what a project and some of its extras ask for, one requirement a line (stdlib alone).

``python dependencies.py pyproject.toml mlflow,otel,xgboost``: the image installs these before it
gets the code.
"""

import sys
import tomllib
from pathlib import Path


def requirements(project: Path, extras: list[str]) -> list[str]:
    """Return the requirements of a ``pyproject.toml``, those of the named extras among them."""
    told = tomllib.loads(project.read_text("utf-8"))["project"]
    optional = told.get("optional-dependencies", {})
    return [*told["dependencies"], *(one for extra in extras for one in optional[extra])]


if __name__ == "__main__":
    named = [extra for extra in sys.argv[2].split(",") if extra]
    sys.stdout.write("\n".join(requirements(Path(sys.argv[1]), named)) + "\n")
