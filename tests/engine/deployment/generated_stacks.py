"""Stack files of simulated engines on this machine, drawn by number: most are odd, and plan accepts some."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from random import Random
from typing import Any, Final

from planning import plan
from settings import Settings
from settings.problems import StackFileError

KNOWN: Final[dict[str, dict[str, dict[str, Any]]]] = json.loads(
    (Path(__file__).parents[3] / "planning/commands/flags/known.json").read_text(encoding="utf-8")
)
COUNTS: Final = (0, 1, 2, 3, 7, 8, 16, 17, 64, 100, 1024, 4096, 70000, 2**31, -1)
NUMBERS: Final = (*COUNTS, 0.0, 0.25, 0.5, 1.0, 1.5, 1e-9, 1e12)
WORDS: Final = ("", "a", "auto", "none", "true", "False", "1", "0.5", "1,2", "null", "9400", "/dev/null")
ODD: Final = ("a b", "it's", "$HOME", "%d", "ünï", "{}", "[]", "-1", "--", '{"a": 1}', "${data}", "${no}")
TEXTS: Final = (*WORDS, *ODD, "x" * 200)
NAMES: Final = ("tiny", "tiny-2", "Tiny_3.x", "a", "0", "tiny--x")
SERVED: Final = (*NAMES, "org/model", "My Model", "modèle-日本", "a'b", 'a"b', "$HOME", "a,b", "%s", "x" * 80)
PLAIN_ENV: Final = ("A", "LONG_NAME_1", "_x", "RUST_LOG", "TZ", "LANG", "PYTHONHASHSEED", "PATH", "TMPDIR")
DYN_ENV: Final = ("LOG", "LOGGING_JSONL", "HEALTH_CHECK_ENABLED", "RUNTIME_NUM_WORKER_THREADS")
ENV: Final = (*PLAIN_ENV, "OMP_NUM_THREADS", *(f"DYN_{name}" for name in DYN_ENV))
HEADS: Final = ["dedicated", "colocated", {"node": 2}, {"placement": "dedicated", "node": 2}]


class Drawn:
    """One stack file's parts, drawn from a number."""

    def __init__(self, number: int) -> None:
        self._random = Random(number)

    def config(self) -> dict[str, Any]:
        """Return the keys below `dynamo:`."""
        pick, chance = self._random.choice, self._chance
        pattern = pick(["agg", "agg", "disagg"])
        workers = ["aggregated"] if pattern == "agg" else ["prefill", "decode"]
        roles = {name: self._role() for name in workers}
        frontend = self._passed_on("dynamo.frontend")
        roles["frontend"] = frontend | ({"replicas": 2} if chance(0.15) else {})
        found: dict[str, Any] = {
            "target": self._target(),
            "pattern": pattern,
            "proofSeconds": 40,
            "model": self._model(),
            "roles": roles,
        }
        if chance(0.2):
            found["head"] = pick(HEADS)
        if chance(0.2):
            found["rollout"] = {"maxUnavailable": pick([1, 2, 9]), "drainSeconds": pick([1, 5, 600])}
        return found

    def _chance(self, share: float) -> bool:
        return self._random.random() < share

    def _target(self) -> dict[str, Any]:
        target: dict[str, Any] = {"kind": "local"}
        if self._chance(0.4):
            target["nodes"] = self._random.choice([1, 2, 3, 4])
        if self._chance(0.4):
            target["gpusPerNode"] = self._random.choice([1, 2, 4, 8])
        return target

    def _model(self) -> dict[str, Any]:
        model = {"name": self._random.choice(NAMES), "source": "generated"}
        return model | ({"servedName": self._random.choice(SERVED)} if self._chance(0.4) else {})

    def _role(self) -> dict[str, Any]:
        role: dict[str, Any] = {"replicas": self._random.choice([1, 1, 2, 3])}
        role |= self._passed_on("dynamo.mocker")
        if self._chance(0.3):
            role["parallelism"] = {"tensor": self._random.choice([1, 2, 4])}
        return role

    def _passed_on(self, module: str) -> dict[str, Any]:
        """Return flags and environment, often none."""
        known = KNOWN[module]
        names = self._random.sample(sorted(known), self._random.choice([0, 0, 1, 1, 2, 3]))
        env = self._random.sample(ENV, self._random.choice([0, 0, 0, 1, 2]))
        return {
            "flags": {name: self._value(known[name]) for name in names},
            "env": {name: self._random.choice([*TEXTS, "1", "info", "UTC"]) for name in env},
        }

    def _value(self, flag: Mapping[str, Any]) -> Any:
        """Return a value of a flag: mostly one of the form that the flag takes."""
        if flag["takes"] == "nothing":
            return self._chance(0.7)
        if self._chance(0.2):
            return self._random.choice((*NUMBERS, *TEXTS))
        if flag.get("choices"):
            return self._random.choice(flag["choices"])
        if "accepts" not in flag:
            return self._random.choice(TEXTS)
        within = [n for n in NUMBERS if flag.get("least", n) <= n <= flag.get("most", n)]
        whole = [n for n in within if n == int(n)] if "number" not in flag["accepts"] else within
        return self._random.choice(whole or COUNTS)


def accepted() -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the number and the keys of each stack file that can be planned."""
    number = 0
    while True:
        number += 1
        config = Drawn(number).config()
        try:
            plan(Settings.model_validate(config))
        except (StackFileError, ValueError):
            continue
        yield number, config
