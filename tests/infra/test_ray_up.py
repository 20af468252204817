"""The cluster files for `ray up`, read by Ray's own code as `ray up` reads them before it reaches a cloud."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from commands import commands, texts
from jsonschema import ValidationError
from ray.autoscaler._private.util import prepare_config, validate_config

CLOUD = Path(__file__).resolve().parents[2] / "infra" / "cloud"
FILES = ("aws.yaml", "gcp.yaml")


def read(name: str) -> dict[str, Any]:
    config: dict[str, Any] = yaml.safe_load((CLOUD / name).read_text(encoding="utf-8"))
    return config


@pytest.mark.parametrize("name", FILES)
def test_ray_takes_the_file(name: str) -> None:
    config = prepare_config(read(name))
    validate_config(config)
    types = config["available_node_types"]
    assert types["head"]["resources"] == {"CPU": 0}
    assert types["gpu"]["min_workers"] == 0  # nothing is paid for while nothing is to do
    assert types["cpu"]["max_workers"] + types["gpu"]["max_workers"] <= config["max_workers"]


@pytest.mark.parametrize("name", FILES)
def test_gpus_are_spot_and_the_head_is_not(name: str) -> None:
    types = read(name)["available_node_types"]
    assert "spot" in yaml.safe_dump(types["gpu"]["node_config"]).lower()
    assert "spot" not in yaml.safe_dump(types["head"]["node_config"]).lower()


@pytest.mark.parametrize("name", FILES)
def test_every_start_names_the_token_mode(name: str) -> None:
    lines = [text for text in texts(CLOUD / name) if any(words[:1] == ["ray"] for words in commands(text))]
    assert len(lines) == 4
    assert all("RAY_AUTH_MODE=token" in line for line in lines)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("idle_timeout_minuts",), 5),
        (("available_node_types", "gpu", "resources", "GPU"), -1),
        (("head_node_type",), "haed"),
        (("available_node_types", "gpu", "max_worker"), 3),
    ],
)
def test_a_fault_is_refused(path: tuple[str, ...], value: object) -> None:
    config = read("aws.yaml")
    at: Any = config
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    with pytest.raises((ValidationError, ValueError)):
        validate_config(prepare_config(config))
