"""Any stack as it can be rehearsed here: its whole topology on this machine, with simulated engines."""

from typing import Any

from planning.commands import flags as known_flags
from planning.commands import reserved
from planning.commands.arguments import WORKER, served_model
from planning.planner import plan
from planning.roles import worker_roles
from settings import Settings

MODEL = "tiny"
"""Generated model whose tokenizer the simulated engines use, under the name of the real one."""


def rehearsal(settings: Settings) -> dict[str, Any]:
    """Return the configuration, as below `config:` of a stack file, of a rehearsal of `settings`.

    Nodes, GPUs, roles, head and frontend stay. Flags that only real engines have are left out, and the
    token and the runtime, which nothing needs. Raises StackFileError where `settings` cannot be planned.
    """
    document = settings.model_dump(
        mode="json",
        by_alias=True,
        exclude_unset=True,
        exclude={"hugging_face_token", "proof_seconds", "runtime"},
    )
    target: dict[str, Any] = {"kind": "local", "gpusPerNode": plan(settings).machine.gpus}
    if nodes := document["target"].get("nodes"):
        target["nodes"] = nodes
    model = {"name": MODEL, "source": "generated", "servedName": served_model(settings.model)}
    document |= {"target": target, "engine": "mocker", "model": model}
    for name, role in worker_roles(settings):
        document["roles"][name]["flags"] = known_flags.as_written(
            WORKER["mocker"], {flag: value for flag, value in role.flags.items() if _simulated(flag, value)}
        )
    return {f"dynamo:{key}": value for key, value in document.items()}


def _simulated(flag: str, value: Any) -> bool:
    module = WORKER["mocker"]
    return flag not in reserved.FLAGS[module] and not known_flags.problems(module, {flag: value})
