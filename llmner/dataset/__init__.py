"""The data set of documents and mentions: what lies where, what describes it, how it is committed and read.

This package knows neither models nor Ray. What needs a selector's rules is handed in as a function, and so is the way
to go over many files (``files.ForEach``).

Invariant: a batch exists for readers once its manifest does. Manifests are numbered by commit and never change.
"""
