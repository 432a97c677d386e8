"""Text of strangers on a terminal: symbols, venues and messages are shown, never obeyed."""

from typing import Any

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text


def visible(text: str) -> str:
    """Return a text with what cannot be seen, such as a terminal's control codes, spelled out."""
    if text.isprintable():
        return text
    return "".join(
        sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text
    )


def visible_text(text: str, style: str = "") -> Text:
    """Return a text in one style, with what cannot be seen spelled out."""
    return Text(visible(text), style)


class PlainTable(Table):
    """A table whose cells are text, not markup, and hold no control codes."""

    def add_row(self, *cells: RenderableType | None, **options: Any) -> None:
        """Add a row; see :meth:`rich.table.Table.add_row`."""
        shown = (visible_text(each) if isinstance(each, str) else each for each in cells)
        super().add_row(*shown, **options)


def plain_console(**options: Any) -> Console:
    """Return a console that takes brackets and colons in a text for what they are."""
    return Console(markup=False, emoji=False, **options)


def wide_console(piped_width: int) -> Console:
    """Return a plain console as wide as the terminal, or of so many columns where there is none."""
    console = plain_console()
    return console if console.is_terminal else plain_console(width=piped_width)
