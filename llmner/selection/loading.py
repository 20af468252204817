"""Loading a selector of either kind into this process."""

from llmner.models.spec import SelectorSpec
from llmner.selection.reading import load_reading_selector
from llmner.selection.selector import Selector, read_settings
from llmner.selection.weighing import WeighingSelector


def load_selector(spec: SelectorSpec, *, threads: int | None = None, device: str | None = None) -> Selector:
    """Load a selector.

    Args:
        spec: The selector.
        threads: CPU threads to compute with; None leaves torch's choice.
        device: ``cpu`` or ``cuda``; None for ``cuda`` where there is one.

    Raises:
        ModelError: A part is missing or of another kind.
    """
    if spec.base is None:
        return WeighingSelector(read_settings(spec.folder), spec.fingerprint())
    return load_reading_selector(spec, threads=threads, device=device)
