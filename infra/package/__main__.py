"""`python -m infra.package`: build the deployment package and say how large it is."""

import argparse
import sys
from pathlib import Path

from infra.package.build import DEFAULT_OUTPUT, build_package
from infra.package.bytecode import FUNCTION_PYTHON
from infra.package.errors import PackageError

_MEGABYTE = 1_000_000


def main(arguments: list[str] | None = None) -> int:
    """Run the command; 0 when there is a package, 1 when it cannot be built."""
    parser = argparse.ArgumentParser(
        prog="python -m infra.package", description="Build the deployment package of rolecall's functions."
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=DEFAULT_OUTPUT,
        metavar="DIR",
        help="where packages are kept, each in a folder of its own (default: %(default)s)",
    )
    output: Path = parser.parse_args(arguments).output
    try:
        package = build_package(output.resolve())
    except (PackageError, OSError) as error:
        sys.stderr.write(f"rolecall: cannot build the deployment package: {error}\n")
        return 1
    sys.stdout.write(
        f"package    {package.path}\n"
        f"hash       {package.key}\n"
        f"byte code  {f'Python {FUNCTION_PYTHON}' if package.byte_code else 'none'}\n"
        f"zipped     {package.zipped_size() / _MEGABYTE:.2f} MB\n"
        f"unzipped   {package.unzipped_size() / _MEGABYTE:.2f} MB\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
