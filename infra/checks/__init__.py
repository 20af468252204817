"""Checks of the files in ``infra/`` without a cloud: ``make infra-check``, or ``python -m infra.checks``.

Invariant: a check is a function from the folder ``infra`` to problems, each a line that names its file; it never passes
because a tool is missing, a kind is unknown to a schema, or a fault is only a message on standard error.
"""
