"""What can go wrong while the package is built."""


class PackageError(Exception):
    """The deployment package cannot be built; the message says why and what to do about it."""
