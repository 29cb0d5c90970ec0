"""The deployment package: what Lambda unpacks into /var/task, built without Docker.

    vendor     the pinned dependencies, pure-Python wheels only
    trim       leaves out what no function uses
    bytecode   compiles for the function's own Python version
    build      puts them together with our sources, and caches the result
    asset      the package as the CDK takes it

`python -m infra.package` builds it and prints its size.
"""

from infra.package.build import DEFAULT_OUTPUT, Package, build_package
from infra.package.bytecode import FUNCTION_PYTHON, find_interpreter
from infra.package.errors import PackageError

__all__ = ["DEFAULT_OUTPUT", "FUNCTION_PYTHON", "Package", "PackageError", "build_package", "find_interpreter"]
