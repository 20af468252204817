"""The flat mentions at another threshold, from the scores in a data set's documents.

Invariant: they lie in a folder of their own that names the threshold, beside ``mentions/``, which stays as the data
set's fingerprint says; doing it again adds what batches committed since.
"""

from llmner import storage
from llmner.errors import DatasetError
from llmner.extraction import publish
from llmner.extraction.dataset import Dataset
from llmner.extraction.selecting import nesting_of_parts
from llmner.selection.competition import Rules


def publish_at(url: str, threshold: float) -> str:
    """Write the mentions of all committed batches that score at least so high and win against their rivals.

    Args:
        url: The data set.
        threshold: In [0, 1].

    Returns:
        URL of the folder.

    Raises:
        DatasetError: There is no data set, or no selector has scored it.
    """
    dataset = Dataset(url)
    nesting = nesting_of_parts(dataset.describe()["parts"])
    if nesting is None:
        raise DatasetError(f"{dataset.url}: no selector has scored it", hint="extract with `select: {mode: on}`")
    folder = storage.join(dataset.url, f"mentions-{threshold:g}")
    rules = Rules(threshold, {}, nesting)
    with storage.access(dataset.url):
        for manifest in dataset.batches():
            target = storage.join(folder, f"batch={manifest.batch}")
            names = [f.name for f in manifest.files]
            publish.publish(dataset.batch(manifest.batch).documents, target, names, rules=rules)
    return folder
