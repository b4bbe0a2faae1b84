"""The plan: services, their nodes and the reasons, by plain functions on frozen values, no Pulumi, no I/O."""

from planning.changes.topology import restarts, topology
from planning.commands.arguments import endpoint
from planning.describe import describe
from planning.nodes.manifests import installed, manifests
from planning.nodes.probes import probe_spec
from planning.nodes.proofs import proof_spec
from planning.nodes.rollout import followers
from planning.planner import plan
from planning.preconditions import unmet_preconditions
from planning.sizing.cost import cost

__all__ = [
    "cost",
    "describe",
    "endpoint",
    "followers",
    "installed",
    "manifests",
    "plan",
    "probe_spec",
    "proof_spec",
    "restarts",
    "topology",
    "unmet_preconditions",
]
