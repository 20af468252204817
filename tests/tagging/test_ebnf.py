"""The grammar as EBNF against the cursor that defines it."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sentences import INLINE_VOCABULARY, TEXTS, TOKENISER, VOCABULARY

from llmner.tagging.grammar import Vocabulary


class Reader:
    """Walks through rules as an Earley parser would: a set of stacks of symbols that are still to come."""

    def __init__(self, text: str) -> None:
        self._rules: dict[str, list[tuple[str, ...]]] = {}
        for line in text.split("\n"):
            name, _, body = line.partition(" ::= ")
            self._rules[name] = [
                tuple(re.findall(r"\([^()]*(?:\(\d+\)[^()]*)*\)\?|Token\(\d+\)|\w+", a)) for a in body.split("|")
            ]
        self._stacks = self._opened({("root",)})

    def _opened(self, stacks: set[tuple[str, ...]]) -> set[tuple[str, ...]]:
        """Stacks that begin with a token, or are empty."""
        done: set[tuple[str, ...]] = set()
        todo = list(stacks)
        while todo:
            stack = todo.pop()
            if not stack or stack[0].startswith("Token"):
                done.add(stack)
            elif stack[0].endswith("?"):
                inner = tuple(re.findall(r"Token\(\d+\)|\w+", stack[0]))
                todo += [stack[1:], inner + stack[1:]]
            else:
                todo += [body + stack[1:] for body in self._rules[stack[0]]]
        return done

    def allowed(self) -> set[int]:
        ends = {VOCABULARY.end} if () in self._stacks else set()
        return ends | {int(s[0][6:-1]) for s in self._stacks if s}

    def advance(self, token: int) -> None:
        self._stacks = self._opened({s[1:] for s in self._stacks if s and s[0] == f"Token({token})"})


@pytest.mark.parametrize("vocabulary", [VOCABULARY, INLINE_VOCABULARY])
@given(text=TEXTS.filter(bool), choices=st.lists(st.integers(0, 11), max_size=200))
def test_admits_what_the_cursor_admits(vocabulary: Vocabulary, text: str, choices: list[int]) -> None:
    source = TOKENISER(text)
    cursor, reader = vocabulary.cursor(source), Reader(vocabulary.ebnf(source))
    for choice in choices:
        allowed = cursor.allowed()
        assert reader.allowed() == set(allowed)
        token = allowed[choice % len(allowed)]
        cursor.advance(token)
        if cursor.done:
            return
        reader.advance(token)
