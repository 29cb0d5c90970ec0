"""Room on disk for what grows with the population: sorted and counted by SQLite, and gone when it is closed."""

import sqlite3

_UNLOGGED = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
"""
"""Nothing of it has to survive the process."""


def scratch_database(tables: str) -> sqlite3.Connection:
    """A database with these tables (SQL), in a file that nobody else sees; whoever asks for it closes it.

    SQLite keeps some 2 MB of it in memory (https://www.sqlite.org/inmemorydb.html, "Temporary Databases").
    """
    database = sqlite3.connect("", isolation_level=None)
    database.executescript(f"{_UNLOGGED}{tables}\nBEGIN;")
    return database
