"""The deployment packages: what Lambda unpacks into /var/task, built without Docker.

    contents   what goes into each: handlers and all they import, services, dependencies
    vendor     the pinned dependencies, pure-Python wheels only
    trim       leaves out what no function uses
    bytecode   compiles for the function's own Python version
    build      puts them together with our sources, and caches the result
    asset      the package as the CDK takes it

`python -m infra.package` builds all of them and prints their sizes.
"""

from infra.package.build import DEFAULT_OUTPUT, Package, build_package
from infra.package.bytecode import FUNCTION_PYTHON, find_interpreter
from infra.package.contents import EVIDENCE, FINDINGS, PACKAGES, RULE, Contents
from infra.package.errors import PackageError

__all__ = [
    "DEFAULT_OUTPUT",
    "EVIDENCE",
    "FINDINGS",
    "FUNCTION_PYTHON",
    "PACKAGES",
    "RULE",
    "Contents",
    "Package",
    "PackageError",
    "build_package",
    "find_interpreter",
]
