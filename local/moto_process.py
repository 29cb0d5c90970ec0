"""moto in server mode, in a process of its own: its state is nobody else's, and it ends with whoever started it.

The child writes the port that it took to its standard output, and ends when its standard input does: even a killed
parent leaves nothing behind.
"""

import logging
import os
import subprocess
import sys
from pathlib import Path

from local.closing import Closing

START_SECONDS = 60
"""How long the child may take to be ready; it takes about one second."""

_ROOT = Path(__file__).resolve().parents[1]


class MotoNotStarted(RuntimeError):
    """The child ended, or said something else than its port."""


class MotoProcess(Closing):
    """A running moto. A context manager: leaving it ends the process."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "local.moto_process"],
            cwd=_ROOT,  # where the package `local` lies
            env=_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            # Ctrl-C in a terminal goes to every process of the group; this one is ended in order instead.
            start_new_session=True,
        )
        self._port: int | None = None

    @property
    def port(self) -> int:
        """Where it listens on 127.0.0.1; waits until it does. Raises MotoNotStarted."""
        if self._port is None:
            if self._process.stdout is None:
                raise MotoNotStarted("moto has no standard output")
            said = self._process.stdout.readline().strip()
            if not said.isdecimal():
                self.close()
                raise MotoNotStarted(f"moto ended before it was ready (it said {said!r}); its error output is above")
            self._port = int(said)
        return self._port

    def close(self) -> None:
        """End it and wait until it has ended."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _environment() -> dict[str, str]:
    """The environment of this process, without what would lead moto's own boto3 anywhere else."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "MOTO_"))}
    # Any image id may be launched; reading moto's list of 1,300 images would take seconds.
    return kept | {"MOTO_EC2_LOAD_DEFAULT_AMIS": "false"}


def main() -> None:
    """Serve until the standard input ends."""
    from moto.server import ThreadedMotoServer  # noqa: PLC0415 - takes a second, and only the child needs it

    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    print(server.get_host_and_port()[1], flush=True)  # noqa: T201 - this is how the parent learns the port
    sys.stdin.read()
    os._exit(0)  # all that it has is in memory: taking leave of its threads would only take time


if __name__ == "__main__":
    main()
