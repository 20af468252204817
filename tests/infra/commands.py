"""Command lines in files of all kinds: found, and parsed by the programs that they call."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
import yaml

from llmner.cli import app

PROGRAMS = {
    "llmner": tuple(typer.main.get_command(app).commands),
    "ray": ("start", "stop", "up", "down", "attach", "job", "symmetric-run"),
}
OPERATORS = {";", "&&", "||", "|", "(", ")", "&", ">", ">>", "<", "2"}


def texts(path: Path) -> Iterator[str]:
    """The pieces of a file that may hold commands, each with its lines joined."""
    content = path.read_text(encoding="utf-8")
    if path.suffix in (".yaml", ".yml"):
        for document in yaml.safe_load_all(content):
            yield from _strings(document)
    elif path.suffix == ".md":
        yield from re.findall(r"```sh\n(.*?)```", content.replace("\\\n", " "), re.DOTALL)
    else:
        yield content.replace("\\\n", " ")


def _strings(node: Any) -> Iterator[str]:
    if isinstance(node, str):
        yield node
    elif isinstance(node, dict | list):
        for value in node.values() if isinstance(node, dict) else node:
            yield from _strings(value)


def commands(text: str) -> Iterator[list[str]]:
    """The calls of our programs in a piece of shell, also within quotes; each as its words."""
    for line in text.splitlines():
        yield from _in_words(_words(line))


def _words(line: str) -> list[str]:
    line = re.sub(r"\$\(.*?\)|\{\{.*?\}\}+|\$\{?\w+\}?|<[A-Z_]+>", "1", line)  # what a shell or a template fills in
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.commenters = "#"
    lexer.wordchars += ":,=@%+{}[]$"
    try:
        return list(lexer)
    except ValueError:  # a line of another language, with one quote
        return line.replace('"', " ").replace("'", " ").split()


def _in_words(words: list[str]) -> Iterator[list[str]]:
    for i, word in enumerate(words):
        if " " in word:
            yield from _in_words(_words(word))
        program = word.rpartition("/")[2]
        if program in PROGRAMS and words[i + 1 : i + 2] and words[i + 1] in PROGRAMS[program]:
            end = next(
                (j for j in range(i, len(words)) if words[j] in OPERATORS or words[j].startswith(">")), len(words)
            )
            yield [program, *words[i + 1 : end]]


def parse(words: list[str]) -> None:
    """Have the program itself parse the words; it raises where it does not know an option or an argument."""
    program, *arguments = words
    command = _program(program)
    while hasattr(command, "commands"):
        command, arguments = command.commands[arguments[0]], arguments[1:]
    command.make_context(command.name, list(arguments))


def _program(name: str) -> Any:  # typer has its own copy of click
    if name == "llmner":
        return typer.main.get_command(app)
    from ray.scripts.scripts import cli

    return cli
