"""How a rule says no."""

__all__ = ["RejectedError"]


class RejectedError(Exception):
    """The provider would refuse the request."""

    def __init__(
        self, message: str, *, kind: str = "invalid_request_error", status: int = 400
    ) -> None:
        super().__init__(message)
        self.message = message
        self.kind = kind
        self.status = status
