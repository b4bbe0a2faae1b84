"""Words that several messages share."""

from collections.abc import Collection


def counted(count: int, noun: str) -> str:
    """Return `1 GPU`, `8 GPUs`."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def not_yet(kind: str, built: Collection[str], stack: str) -> str:
    """Return why a target that can only be planned so far is not brought up, and what to do instead."""
    return (
        f"target.kind: {kind} cannot be brought up yet, expected {' or '.join(built)}; "
        f"`scripts/plan {stack}` prints its plan, `scripts/rehearse {stack}` runs "
        f"its whole topology on this machine. Nothing was created."
    )
