"""The grammar of a sentence's tagged text as EBNF over token ids, for engines that decode by a grammar of their own.

It is xgrammar's dialect: ``Token(7)`` stands for the token with id 7. Because the terminals are tokens, not
characters, the text cannot be split otherwise than ``units`` splits it.

Invariant: a layout's grammar admits exactly what its cursor admits, token by token; the end token is the engine's own
stop.
"""

from llmner.tagging.grammar import MAX_DEPTH
from llmner.units import TokenisedText

BEGIN = "a0x0"  # the rule of a whole line


def copy_rules(source: TokenisedText, *, open: str, close: str, last: str) -> list[str]:
    """Write the rules of one line, about ten short ones a unit.

    A line is a walk through states: before unit ``u``, with ``d`` tags open. In ``a`` a tag may still close; in ``c``,
    once one has opened here, it may not, because it would enclose nothing.

    Args:
        source: The sentence, at least one unit.
        open: What opens a tag.
        close: What closes one.
        last: What follows the sentence.
    """
    rules = []
    first = [position for position, unit in enumerate(source.unit_at) if unit >= 0]
    end = len(source.blank)
    for u in range(end):
        copy = terminals(*source.tokens[first[u] : first[u + 1]])
        for d in range(MAX_DEPTH + 1):
            opening = f" | {open} c{u}x{d + 1}" if d < MAX_DEPTH and not source.blank[u] else ""
            closing = f" | {close} a{u}x{d - 1}" if d else ""
            rules.append(f"c{u}x{d} ::= {copy} a{u + 1}x{d}{opening}")
            rules.append(f"a{u}x{d} ::= c{u}x{d}{closing}")
    rules.append(f"a{end}x0 ::= {last}")
    rules += [f"a{end}x{d} ::= {close} a{end}x{d - 1}" for d in range(1, MAX_DEPTH + 1)]
    return rules


def terminals(*ids: int) -> str:
    """Write a run of tokens."""
    return " ".join(f"Token({i})" for i in ids)
