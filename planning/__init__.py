"""Who runs what where, and why: plain functions on frozen values, no Pulumi, no I/O."""

from planning.before_up import before_up
from planning.commands import endpoint
from planning.cost import cost
from planning.describe import describe
from planning.planner import plan
from planning.probes import probe_spec
from planning.proofs import proof_spec
from planning.rollout import followers
from planning.services import installed, manifests
from planning.topology import restarts, topology

__all__ = [
    "before_up",
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
]
