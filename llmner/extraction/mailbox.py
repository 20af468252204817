"""The error that ends a run, on its way from a worker to the driver."""

from llmner.errors import LlmnerError


class Mailbox:
    """Holds the error that ends a run; Ray itself hands on only its text."""

    def __init__(self) -> None:
        self._error: LlmnerError | None = None

    def leave(self, error: LlmnerError) -> None:
        """Leave an error; the first one is kept."""
        self._error = self._error or error

    def read(self) -> LlmnerError | None:
        """Return the error, if there is one."""
        return self._error
