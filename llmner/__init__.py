"""Corpus-scale biomedical entity extraction with generative language models.

The pipeline reads as one line: ``read -> segment -> tag -> select -> write``. Importing this package is
light: torch, ray and vllm are imported by the modules that use them.
"""

__version__ = "0.1.0"
