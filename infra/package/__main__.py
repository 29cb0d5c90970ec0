"""`python -m infra.package`: build the deployment packages and say how large they are."""

import argparse
import sys
from pathlib import Path

from infra.package.build import DEFAULT_OUTPUT, build_package
from infra.package.bytecode import FUNCTION_PYTHON
from infra.package.contents import PACKAGES
from infra.package.errors import PackageError

_MEGABYTE = 1_000_000


def main(arguments: list[str] | None = None) -> int:
    """Run the command; 0 when all packages are there, 1 when one cannot be built."""
    parser = argparse.ArgumentParser(
        prog="python -m infra.package", description="Build the deployment packages of rolecall's functions."
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=DEFAULT_OUTPUT,
        metavar="DIR",
        help="where packages are kept, each in a folder of its own (default: %(default)s)",
    )
    known = {contents.name: contents for contents in PACKAGES}
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(known)} (default: all)")
    given = parser.parse_args(arguments)
    if unknown := [name for name in given.names if name not in known]:
        parser.error(f"there is no package {unknown[0]}; there is {', '.join(known)}")
    output: Path = given.output
    for contents in [known[name] for name in given.names or known]:
        try:
            package = build_package(contents, output.resolve())
        except (PackageError, OSError) as error:
            sys.stderr.write(f"rolecall: cannot build the deployment package {contents.name}: {error}\n")
            return 1
        sys.stdout.write(
            f"package    {package.path}\n"
            f"for        {', '.join(contents.handlers)}\n"
            f"hash       {package.key}\n"
            f"byte code  {f'Python {FUNCTION_PYTHON}' if package.byte_code else 'none'}\n"
            f"zipped     {package.zipped_size() / _MEGABYTE:.2f} MB\n"
            f"unzipped   {package.unzipped_size() / _MEGABYTE:.2f} MB\n"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
