"""Which environment names Dynamo and vLLM read: those in Dynamo's sources and library, and vLLM's list."""

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
"""What of Dynamo a deployment runs: other engines and the planner read names of their own."""

PREFIXES: Final = "DYN|DYNAMO|ETCD|HF|HUGGING_FACE|MODEL_EXPRESS|NATS|NIXL|OTEL|XDG"
_NAME: Final = re.compile(rf"\b(?:{PREFIXES})_[A-Z0-9_]*[A-Z0-9]\b")
_RUN: Final = re.compile(rf"(?:{PREFIXES})_[A-Z0-9_]+".encode())
_SHORTEST: Final = 6
_LONGEST_WORD: Final = 5
"""Up to so many capitals at the end of a name may be the next text's."""
_NEXT: Final = re.compile(rf"(?<=[A-Z0-9])(?=(?:{PREFIXES})_)|(?<=_)(?=DYN_)")


def known() -> dict[str, list[str]]:
    """Return the names by who reads them; one that ends with `_` stands for all that begin so."""
    dynamo = Path(str(import_module("dynamo.common").__file__)).parents[1]
    written = set(_in_sources(dynamo))
    compiled = set(_in_library((dynamo / "_core.abi3.so").read_bytes(), written))
    vllm = set(import_module("vllm.envs").environment_variables)
    return {"dynamo": sorted(written | compiled), "vllm": sorted(vllm)}


def _in_sources(dynamo: Path) -> Iterator[str]:
    for module in MODULES:
        path = dynamo / module
        for source in [path] if path.is_file() else path.rglob("*.py"):
            if "tests" not in source.parts:
                yield from _NAME.findall(source.read_text(encoding="utf-8"))


def _in_library(library: bytes, written: set[str]) -> set[str]:
    """Return the names among a library's texts, which stand one behind another without anything between.

    Where the next text begins with a capital, it looks like the end of the name before: such a name counts
    only when it stands nowhere else without that end.
    """
    sure, unsure = set(written), set()
    for run in _RUN.finditer(library):
        *whole, last = _NEXT.split(run[0].decode())
        sure.update(whole)
        after = library[run.end() : run.end() + 6]
        if after == b"event " or not after[:1].isalpha():
            sure.add(last)
        else:
            unsure.add(last)
    for name in sorted(unsure - sure, key=len):
        # as it stands, or without the capital that the next text begins with
        shorter = [name[:-cut] for cut in range(1, _LONGEST_WORD) if name[:-cut] in sure]
        if not shorter:
            sure |= {name, name[:-1]}
    return {name for name in sure - written if len(name) > _SHORTEST}
