"""The one exception with which a local service refuses a call, as AWS's JSON protocols word it."""


class ServiceError(Exception):
    """`code` becomes the answer's `__type`; `status` is the HTTP status."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status


def invalid_parameter(message: str) -> ServiceError:
    """InvalidParameterValueException: the input satisfies the service model, but not the service."""
    return ServiceError("InvalidParameterValueException", message)
