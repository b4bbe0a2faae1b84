"""Changes of a stack file of target aws, and what a preview says of them: the rows of docs/aws-changes.md."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from tests.aws.support.machines import NETWORK
from tests.aws.support.stacks import OUTSIDE, Change, Preview

Config = dict[str, Any]

NODES: Final = ["node-1", "node-2", "node-3"]
"""Of the stack that is changed."""

_NODE: Final = re.compile(r"head|node-\d+")
_SERVICE: Final = re.compile(r"^(\S+) on (\S+) (restarts|starts|stops)\b")


def _target(**keys: Any) -> Change:
    return lambda config: config["dynamo:target"].update(keys)


def _role(role: str, **keys: Any) -> Change:
    return lambda config: config["dynamo:roles"][role].update(keys)


def _all(**keys: Any) -> Change:
    def change(config: Config) -> None:
        for role in ("prefill", "decode"):
            config["dynamo:roles"][role].update(keys)

    return change


def _top(**keys: Any) -> Change:
    return lambda config: config.update({f"dynamo:{key}": value for key, value in keys.items()})


def base(config: Config) -> None:
    """Make the stack that the changes are made to: three nodes, so that a node can leave."""
    config["dynamo:roles"]["decode"]["replicas"] = 2
    config["dynamo:cost"] = {}


ROWS: Final[Mapping[str, Change]] = {
    "a remark, or another order of keys": lambda _config: None,
    "one more decode worker": _role("decode", replicas=3),
    "one decode worker less": _role("decode", replicas=1),
    "`target.instanceType: p5en.48xlarge`": _target(instanceType="p5en.48xlarge"),
    "`target.ami.release`": _target(ami={"release": "2"}),
    "`target.network.cidr`": _target(network={"cidr": "10.80.0.0/24", "publicHead": True}),
    "one more of `target.adminRanges`": _target(
        adminRanges=[NETWORK, OUTSIDE, "198.51.100.7/32"], clientRanges=[NETWORK, OUTSIDE]
    ),
    "one less of `target.clientRanges`": _target(clientRanges=[NETWORK]),
    "`parallelism.tensor: 4` of all workers": _all(parallelism={"tensor": 4}),
    "`model.name`": _top(model={"name": "other", "source": "generated"}),
    "`target.purchase: spot`": _target(purchase="spot"),
    "`target.tags`": _target(tags={"team": "inference"}),
    "`target.volume.sizeGib`": _target(volume={"sizeGib": 400}),
    "`target.efa: false`": _target(efa=False),
    "`target.placementGroup` of one's own": _target(placementGroup="ours"),
    "`target.access: ssm`": _target(access="ssm"),
    "`target.keyPair` of one's own": _target(keyPair="ours"),
    "`target.kmsKeyId`": _target(kmsKeyId="alias/ours"),
    "`target.lifetime.maxMinutes`": _target(lifetime={"maxMinutes": 600}),
    "`target.access: ssm` and `target.network.publicHead: false`": _target(
        access="ssm", network={"cidr": NETWORK, "publicHead": False}
    ),
    "`head: dedicated`": _top(head="dedicated"),
    "a flag of decode": _role("decode", flags={"max-num-seqs": 128}),
    "an environment variable of decode": _role("decode", env={"RUST_LOG": "debug"}),
    "a flag of the frontend": _role("frontend", flags={"router-mode": "round-robin"}),
}
"""Name of a change -> its edit of the stack file."""


def on_aws(preview: Preview) -> str:
    """Return what becomes of resources on AWS."""
    return _grouped(preview.steps("aws:"))


def on_nodes(preview: Preview) -> str:
    """Return which nodes are set up, or set up again, or get another runtime, model or lifetime."""
    words = {"create": "", "replace": " again", "update": ": runtime"}
    steps = preview.steps("command:")
    found: dict[str, list[str]] = {word: [] for word in words.values()}
    for name, step in steps.items():
        if name.endswith("-install") and step in words:
            found[words[step]].append(name.removeprefix("Command:").removesuffix("-install"))
    return ", ".join(
        f"{'every node' if sorted(nodes) == NODES else ' and '.join(sorted(nodes))}{word}"
        for word, nodes in found.items()
        if nodes
    )


def services(preview: Preview) -> str:
    """Return which services restart, start and stop on machines, as the preview says."""
    found: dict[str, list[str]] = {}
    for line in preview.said().splitlines():
        if match := _SERVICE.match(line.strip()):
            where = "" if match[3] == "restarts" else f" on {match[2]}"
            found.setdefault(match[3], []).append(match[1] + where)
    return "; ".join(f"{verb} {', '.join(sorted(names))}" for verb, names in sorted(found.items()))


def row(what: str, preview: Preview) -> str:
    """Return the table's line for a change."""
    cells = (what, *(text or "–" for text in (on_aws(preview), on_nodes(preview), services(preview))))
    return f"| {' | '.join(cells)} |"


def _grouped(steps: Mapping[str, str]) -> str:
    """Return steps by what is done, and for each type which: nodes are counted together."""
    by_step: dict[str, dict[str, list[str]]] = {}
    for full, step in sorted(steps.items()):
        kind, _, name = full.partition(":")
        by_step.setdefault(step, {}).setdefault(kind, []).append(name)
    order = ("replace", "create", "update", "delete")
    return "; ".join(
        f"{step} " + ", ".join(_named(kind, names) for kind, names in kinds.items())
        for step, kinds in sorted(by_step.items(), key=lambda item: order.index(item[0]))
    )


def _named(kind: str, names: Iterable[str]) -> str:
    """Return resources of a type: those of nodes by name, of others how many."""
    shown = sorted(names)
    if all(_NODE.fullmatch(name) for name in shown):
        return f"{kind} {'of every node' if shown == NODES else ', '.join(shown)}"
    return f"{kind} {shown[0]}" if len(shown) == 1 else f"{len(shown)} {kind}s"
