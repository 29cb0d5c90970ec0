"""What goes on, on stderr: a bar on a terminal, a line for each step elsewhere."""

from collections.abc import Iterator, Sequence
from typing import TypeVar

from rich.console import Console
from rich.progress import track

Step = TypeVar("Step")


class Progress:
    """Tells how far a benchmark is."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)

    def say(self, text: str) -> None:
        """A step without parts."""
        self._console.print(f"bench: {text}", highlight=False)

    def track(self, text: str, steps: Sequence[Step]) -> Iterator[Step]:
        """A step with parts."""
        if self._console.is_terminal:
            yield from track(steps, description=text, console=self._console, transient=True)
        else:
            self.say(f"{text} ({len(steps)})")
            yield from steps
