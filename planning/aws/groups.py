"""Security groups from the plan's flows: who may connect to the head, to the cluster, and from outside.

- `coordination`, of the head: what nodes of the cluster connect to there, NATS and etcd first.
- `cluster`, of every GPU node: everything from and to itself, which EFA needs in both directions.
- `access`, of the head: SSH for administrators, the endpoint for clients.

EC2 refuses a rule that there is already, whatever either is for: rules of the same ports and sides are one.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Final, Literal

from pydantic.alias_generators import to_snake

from planning.aws.network import EVERYWHERE, admins, clients, network
from planning.aws.target import required_aws_target
from planning.network.ports import of_slot
from planning.values import Flow, Plan, port_name
from settings.aws.target import AwsTarget
from settings.ports import PortSettings

Group = Literal["coordination", "cluster", "access"]
Direction = Literal["ingress", "egress"]

GROUPS: Final[dict[Group, str]] = {
    "coordination": "NATS, etcd and the frontend, from the cluster to the head",
    "cluster": "everything between the nodes, which EFA needs both ways",
    "access": "SSH for administrators and the endpoint for clients",
}
"""Each group with its description."""

ENDPOINT_GROUP: Final[Group] = "cluster"
"""The group of interface endpoints (`planning.aws.network.ENDPOINTS`)."""

RULES_MOST: Final = 60
"""Rules of a group in one direction that EC2 allows by default."""

SSH: Final = 22
_HTTPS: Final = 443
_ALL: Final = "-1"
_ALL_PORTS: Final = "all"
_ON_HEAD: Final = ("head", "frontend")
_LONGEST: Final = 255
"""Characters of a description."""


@dataclass(frozen=True)
class Rule:
    """One rule of a group. The other side is a group or a range; no ports: all protocols are meant."""

    group: Group
    direction: Direction
    peer: str
    """Name of a group, or a range."""
    first: int | None
    last: int | None
    why: str
    """Its description: of letters that EC2 takes, and not too long."""
    port: str
    """Kind of the ports (`planning.values.Flow.port`)."""
    slot: int | None = None
    """The slot whose ports they are (`planning.values.Flow.slot`)."""

    @property
    def name(self) -> str:
        """Return a name that tells it from every other, and stays when its ports get other numbers."""
        return self._named(port_name(self.port, self.slot))

    @property
    def former_name(self) -> str:
        """Return what a release called it that named rules by their numbers."""
        return self._named(_former_numbers(self.port, self.slot))

    def _named(self, port: str) -> str:
        return f"{self.group}-{self.direction}-{port}-{self.peer.replace('/', '-')}"

    @property
    def protocol(self) -> str:
        """Return the protocol as EC2 names it; -1 stands for all."""
        return _ALL if self.first is None else "tcp"

    @property
    def of_group(self) -> bool:
        """Return whether the other side is a group."""
        return self.peer in GROUPS


def groups_of(plan: Plan, node: str) -> tuple[Group, ...]:
    """Return the groups that the primary interface of a node is in; its EFA interfaces are in `cluster`."""
    planned_node = plan.node(node)
    if not planned_node.head:
        return ("cluster",)
    return ("coordination", "access", "cluster") if planned_node.gpus else ("coordination", "access")


def rules(plan: Plan) -> tuple[Rule, ...]:
    """Return every rule, each once."""
    target = required_aws_target(plan.settings)
    by_name: dict[str, Rule] = {}
    for rule in (*_inside(), *_to_head(plan), *_from_head(plan, target), *_from_outside(plan, target)):
        previous = by_name.get(rule.name)
        by_name[rule.name] = _joined(previous, rule) if previous else rule
    return tuple(by_name.values())


def _joined(first: Rule, second: Rule) -> Rule:
    reasons = dict.fromkeys([*first.why.split("; "), *second.why.split("; ")])
    return replace(first, why="; ".join(reasons)[:_LONGEST])


def _former_numbers(port: str, slot: int | None) -> str:
    """Return the numbers that ports had when no stack file could move them; the kind of others."""
    fixed = {"ssh": SSH, "https": _HTTPS, "frontend-response-stream": 9400}
    if port in fixed:
        return str(fixed[port])
    numbers = PortSettings().model_dump() if slot is None else asdict(of_slot(PortSettings(), slot))
    return str(numbers.get(to_snake(port), port))


def _inside() -> Iterator[Rule]:
    reason = "between the nodes: EFA, collectives, KV blocks"
    yield Rule("cluster", "ingress", "cluster", None, None, reason, _ALL_PORTS)
    yield Rule("cluster", "egress", "cluster", None, None, reason, _ALL_PORTS)
    egress_reason = "packages, models and services of AWS"
    yield Rule("cluster", "egress", EVERYWHERE, None, None, egress_reason, _ALL_PORTS)
    yield Rule("coordination", "egress", EVERYWHERE, None, None, egress_reason, _ALL_PORTS)


def _to_head(plan: Plan) -> Iterator[Rule]:
    for flow in plan.flows:
        if flow.target in _ON_HEAD and flow.source != "client":
            yield _let_in("coordination", "cluster", flow)


def _from_head(plan: Plan, target: AwsTarget) -> Iterator[Rule]:
    """Yield what a head outside of the cluster needs of what is in it; one that is a worker has it anyway."""
    if "cluster" in groups_of(plan, plan.head):
        return
    for flow in plan.flows:
        if _from_head_to_worker(plan, flow):
            yield _let_in("cluster", "coordination", flow)
    if target.access == "proxy":
        reason = "SSH to the workers, through the head"
        yield Rule("cluster", "ingress", "coordination", SSH, SSH, reason, "ssh")
    if network(target).endpoints:
        yield Rule("cluster", "ingress", "coordination", _HTTPS, _HTTPS, "services of AWS", "https")


def _let_in(group: Group, peer: str, flow: Flow) -> Rule:
    return Rule(group, "ingress", peer, flow.first, flow.last, flow.why, flow.port, flow.slot)


def _from_head_to_worker(plan: Plan, flow: Flow) -> bool:
    """Return whether a flow leads from the head to a worker node: frontends are there only if several are."""
    if flow.target in _ON_HEAD:
        return flow.target == "frontend" and plan.balanced and flow.source in ("head", "node")
    return flow.source in _ON_HEAD


def _from_outside(plan: Plan, target: AwsTarget) -> Iterator[Rule]:
    for cidr in admins(target):
        yield Rule("access", "ingress", cidr, SSH, SSH, "SSH for administrators", "ssh")
    for flow in plan.flows:
        if flow.source == "client":
            for cidr in clients(target):
                yield _let_in("access", cidr, flow)
