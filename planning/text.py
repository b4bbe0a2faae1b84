"""Words that several messages share."""


def counted(count: int, noun: str) -> str:
    """Return `1 GPU`, `8 GPUs`."""
    return f"{count} {noun}{'' if count == 1 else 's'}"
