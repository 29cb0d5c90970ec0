"""On what was measured: figures without it cannot be compared."""

import importlib.metadata
import os
import platform
import re
from pathlib import Path

_GIB = 1024**3


def facts() -> dict[str, str]:
    """Processor, memory, system, load, and the Python that runs the benchmark."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "processor": f"{os.cpu_count()} cores, {_processor()}",
        "memory": f"{pages / _GIB:.0f} GiB",
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "load before": " ".join(f"{load:.2f}" for load in os.getloadavg()),
        "python": f"{platform.python_version()} (the benchmark and the command line)",
    }


def versions(*distributions: str) -> dict[str, str]:
    """Installed releases."""
    return {name: importlib.metadata.version(name) for name in distributions}


def _processor() -> str:
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE)
    except OSError:
        found = None
    return found[1] if found else platform.processor() or "unknown processor"
