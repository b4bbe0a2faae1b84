"""Who runs what where, and why: plain functions on frozen values, no Pulumi, no I/O."""

from planning.describe import describe
from planning.planner import plan
from planning.proofs import members, proof_spec
from planning.rollout import followers
from planning.runtimes import runtime_of
from planning.services import manifests
from planning.topology import restarts, topology

__all__ = [
    "describe",
    "followers",
    "manifests",
    "members",
    "plan",
    "proof_spec",
    "restarts",
    "runtime_of",
    "topology",
]
