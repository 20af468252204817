"""Log lines: for people without anything that commands a terminal, for machines as JSON."""

import json
import logging

from llmner.commands.logs import JsonFormatter, TextFormatter

RECORD = logging.LogRecord("llmner", logging.WARNING, "", 0, "%s: broken", ("a\x1b[31m\u202eb.xml",), None)


def test_control_characters_are_shown_as_pictures() -> None:
    assert TextFormatter("%(levelname)s %(message)s").format(RECORD) == "WARNING a\u241b[31m\ufffdb.xml: broken"


def test_json_gives_the_message_back() -> None:
    line = JsonFormatter().format(RECORD)
    assert "\x1b" not in line
    assert json.loads(line)["message"] == RECORD.getMessage()
