"""``python -m flows.local``."""

from flows.local.cli import app

if __name__ == "__main__":
    app(prog_name="python -m flows.local")
