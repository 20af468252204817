"""The grammar of a sentence's tagged text as EBNF over token ids, for engines that decode by a grammar of their own.

It is xgrammar's dialect: ``Token(7)`` stands for the token with id 7. Because the terminals are tokens, not
characters, the text cannot be split otherwise than ``units`` splits it.

Invariant: it admits exactly what ``grammar.Cursor`` or ``inline.InlineCursor`` admits, token by token; the end token is
the engine's own stop.
"""

from llmner.tagging.grammar import MAX_DEPTH, Vocabulary
from llmner.tagging.inline import InlineVocabulary
from llmner.tagging.units import TokenisedText


def ebnf(source: TokenisedText, vocabulary: Vocabulary | InlineVocabulary) -> str:
    """Write the grammar.

    A line is a walk through states: before unit ``u``, with ``d`` tags open. In ``a`` a tag may still close; in ``c``,
    once one has opened here, it may not, because it would enclose nothing.

    Args:
        source: The sentence, at least one unit.
        vocabulary: The tokens of tags, heads and types.

    Returns:
        About ten short rules a unit; ``root`` is the first.
    """
    if isinstance(vocabulary, InlineVocabulary):
        names = " | ".join(_tokens(*name) for name in vocabulary.types)
        rules = ["root ::= a0x0", f"close ::= {_tokens(vocabulary.bar)} name", f"name ::= {names}"]
        close, last = "close", '""'
    else:
        rules = ["root ::= " + " ".join(f"({_tokens(*head)} a0x0)?" for head in vocabulary.heads)]
        close, last = _tokens(vocabulary.close), _tokens(vocabulary.newline)
    open_ = _tokens(vocabulary.open)
    first = [position for position, unit in enumerate(source.unit_at) if unit >= 0]
    end = len(source.blank)
    for u in range(end):
        copy = _tokens(*source.tokens[first[u] : first[u + 1]])
        for d in range(MAX_DEPTH + 1):
            opening = f" | {open_} c{u}x{d + 1}" if d < MAX_DEPTH and not source.blank[u] else ""
            closing = f" | {close} a{u}x{d - 1}" if d else ""
            rules.append(f"c{u}x{d} ::= {copy} a{u + 1}x{d}{opening}")
            rules.append(f"a{u}x{d} ::= c{u}x{d}{closing}")
    rules.append(f"a{end}x0 ::= {last}")
    rules += [f"a{end}x{d} ::= {close} a{end}x{d - 1}" for d in range(1, MAX_DEPTH + 1)]
    return "\n".join(rules)


def _tokens(*ids: int) -> str:
    return " ".join(f"Token({i})" for i in ids)
