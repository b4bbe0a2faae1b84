"""Manifests and proof specifications, from standard input or a node's folder, of this or another release."""

from typing import Any

from nodectl.common.errors import BadInputError, NodectlError, NothingAppliedError
from nodectl.common.files import read_if_there
from nodectl.common.layout import Layout
from nodectl.contract import codec
from nodectl.contract.manifest import SCHEMA, Manifest
from nodectl.contract.proof import ProofSpec


def manifest(text: str) -> Manifest:
    """Return the manifest in `text`. Raises `BadInputError`, which never repeats the text."""
    label = "a manifest"
    content = codec.document(text, label)
    schema = content.get("schema") if isinstance(content, dict) else None
    if isinstance(schema, int) and schema != SCHEMA:
        raise BadInputError(
            f"schema: expected {SCHEMA}, got {schema}; use the same release of this project here and there"
        )
    return codec.decode(Manifest, content, label)


def applied(layout: Layout) -> Manifest:
    """Return the manifest that a node was converged to last. Raises `NothingAppliedError` without one."""
    text = read_if_there(layout.manifest)
    if text is None:
        raise NothingAppliedError(f"{layout.root}: no manifest was applied here")
    try:
        return codec.read(Manifest, text, "a manifest", str(layout.manifest))
    except BadInputError:
        raise NodectlError(
            f"{layout.manifest}: of another release of this project; run `pulumi up`"
        ) from None


def proof_spec(text: str) -> ProofSpec:
    """Return the specification of a proof, which the state of a stack may have from an earlier release."""
    label = "a proof spec"
    return codec.decode(ProofSpec, _current(codec.document(text, label)), label)


def _current(content: Any) -> Any:
    """Return a specification of up to release 0.2 with the nodes of headless ranks in their instances.

    It had a mapping of all such services to their nodes, and in each instance the names of its own. What has
    another form is left as it is, to be refused.
    """
    match content:
        case {"headless": dict() as nodes, "instances": list() as instances, **others}:
            return {**others, "instances": [_instance(instance, nodes) for instance in instances]}
    return content


def _instance(instance: Any, nodes: dict[str, Any]) -> Any:
    match instance:
        case {"headless": list() as names}:
            headless = {name: node for name, node in nodes.items() if name in names}
            return {**instance, "headless": headless}
    return instance
