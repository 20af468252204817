"""One class for each error: what went wrong, whether trying again can help, and what to do about it.

Invariant: every message names the thing at fault (file, document, option); ``hint`` says the way out.
"""

from typing import ClassVar


def printable(text: str) -> str:
    """Return a text with what UTF-8 cannot say as an escape: halves of surrogate pairs, foreign bytes in file names."""
    return text.encode("utf-8", "backslashreplace").decode()


class LlmnerError(Exception):
    """Base of all errors this package raises on purpose; what it says can be printed and stored, whatever it names.

    Attributes:
        retryable: Whether the same call may succeed later without a change.
        hint: What the user can do about it; ends the message.
    """

    retryable: ClassVar[bool] = False

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        self.message = printable(message)
        self.hint = None if hint is None else printable(hint)
        super().__init__(self.message)

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message

    def __reduce__(self) -> tuple:
        # Keyword-only arguments are lost by the default reduction; errors travel between Ray processes.
        return _rebuild, (type(self), self.message, self.hint)


def _rebuild(cls: type[LlmnerError], message: str, hint: str | None) -> LlmnerError:
    return cls(message, hint=hint)


class ConfigError(LlmnerError):
    """A configuration or option that cannot be used."""


class InputError(LlmnerError):
    """An input file that cannot be read as what it should be."""


class InputNotFoundError(InputError):
    """An input that does not exist."""


class AccessError(LlmnerError):
    """Storage that refuses access: no permission, no such bucket, wrong credentials."""


class ChecksumError(InputError):
    """A file whose content is not what its checksum says."""


class TruncatedFileError(InputError):
    """A compressed file that ends before its end."""


class MalformedRecordError(InputError):
    """One record of a file that cannot be read; its neighbours can."""


class DocumentTooLargeError(InputError):
    """A document above the size limit."""


class ModelError(LlmnerError):
    """A model, adapter or tokenizer that cannot be loaded or used."""


class TaggingError(LlmnerError):
    """A text that the engine could not tag."""


class SelectionError(LlmnerError):
    """Candidates that the selector could not judge."""


class CutAnswerError(TaggingError):
    """An answer that the engine cut before its end."""


class RequestRefusedError(TaggingError):
    """A text that the engine did not take."""


class EngineDeadError(LlmnerError):
    """An engine whose own processes are gone; a new worker can go on."""

    retryable = True


class WorkerDiedError(LlmnerError):
    """A document on which a worker died again and again."""


class DatasetError(LlmnerError):
    """A data set that cannot be read or written as asked."""


class FingerprintMismatchError(DatasetError):
    """A data set made with other settings than those of this run."""


class CountMismatchError(DatasetError):
    """Documents that were read and are missing from what was written."""


class BatchLockedError(DatasetError):
    """A batch that another run is writing."""

    retryable = True


class JobFailedError(LlmnerError):
    """A job that ended early; what it has done so far stays."""

    retryable = True


class TooManyFailedError(LlmnerError):
    """A run of whose documents more failed or were rejected than the job allows."""


class StoppedError(LlmnerError):
    """A run that was asked to stop, and left a checkpoint to go on from."""

    retryable = True


STORAGE_FAILED = "storage failed"  # in every message of StorageError: Ray knows by it what to try again


class StorageError(LlmnerError):
    """Storage that failed for a moment: a timeout, a server error."""

    retryable = True
