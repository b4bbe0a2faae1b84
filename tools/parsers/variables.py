"""Environment names that Dynamo and vLLM read: from Dynamo's sources and library, and from vLLM's list."""

import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Final

MODULES: Final = (
    "_internal",
    "common",
    "frontend",
    "health_check.py",
    "llm",
    "logits_processing",
    "mocker",
    "nixl_connect",
    "runtime",
    "vllm",
)
"""Dynamo's modules that a deployment runs; other engines and the planner read other names."""

PREFIXES: Final = "DYN|DYNAMO|ETCD|HF|HUGGING_FACE|MODEL_EXPRESS|NATS|NIXL|OTEL|XDG"
_NAME: Final = re.compile(rf"\b(?:{PREFIXES})_[A-Z0-9_]*[A-Z0-9]\b")
_RUN: Final = re.compile(rf"(?:{PREFIXES})_[A-Z0-9_]+".encode())
_SHORTEST: Final = 6
_LONGEST_WORD: Final = 5
"""Most capitals at the end of a name that may belong to the next text."""
_NEXT_NAME: Final = re.compile(rf"(?<=[A-Z0-9])(?=(?:{PREFIXES})_)|(?<=_)(?=DYN_)")


def known() -> dict[str, list[str]]:
    """Return the names by reader; a name that ends with `_` stands for all names with that prefix."""
    dynamo = Path(str(import_module("dynamo.common").__file__)).parents[1]
    in_sources = set(_in_sources(dynamo))
    in_library = set(_in_library((dynamo / "_core.abi3.so").read_bytes(), in_sources))
    vllm = set(import_module("vllm.envs").environment_variables)
    return {"dynamo": sorted(in_sources | in_library), "vllm": sorted(vllm)}


def _in_sources(dynamo: Path) -> Iterator[str]:
    for module in MODULES:
        path = dynamo / module
        for source in [path] if path.is_file() else path.rglob("*.py"):
            if "tests" not in source.parts:
                yield from _NAME.findall(source.read_text(encoding="utf-8"))


def _in_library(library: bytes, in_sources: set[str]) -> set[str]:
    """Return the names among a library's texts, which follow one another without a separator.

    If the next text begins with a capital, it looks like the end of the name before it: such a name counts
    only if it occurs nowhere else without that end.
    """
    certain, uncertain = set(in_sources), set()
    for run in _RUN.finditer(library):
        *names, tail = _NEXT_NAME.split(run[0].decode())
        certain.update(names)
        following = library[run.end() : run.end() + 6]
        if following == b"event " or not following[:1].isalpha():
            certain.add(tail)
        else:
            uncertain.add(tail)
    for name in sorted(uncertain - certain, key=len):
        # as it stands, or without the capital that the next text begins with
        shorter = [name[:-cut] for cut in range(1, _LONGEST_WORD) if name[:-cut] in certain]
        if not shorter:
            certain |= {name, name[:-1]}
    return {name for name in certain - in_sources if len(name) > _SHORTEST}
