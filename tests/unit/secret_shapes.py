"""Secrets as people have them: none is real, and each names the parts of it that may be shown nowhere."""

from typing import Final, NamedTuple

_LETTERS: Final = "Zq8fK2mXw7Rt5LbN3vHc"


class Planted(NamedTuple):
    """A text with a secret in it, and the parts of the text that give the secret away."""

    text: str
    parts: tuple[str, ...]
    known: bool = True
    """Whether it surely is one, so that it is refused wherever it stands."""


def _planted(text: str, *parts: str, known: bool = True) -> Planted:
    return Planted(text, parts or (text,), known)


PRIVATE_KEY: Final = "-----BEGIN OPENSSH PRIVATE KEY----- b3BlbnNzaC1rZXktdjEAAAAA Zm9vYmFyYmF6 -----END"

TOKENS: Final = {
    "hub": _planted(f"hf_{_LETTERS}{_LETTERS}", _LETTERS[:8]),
    "hub, of letters": _planted(f"hf_{'x' * 34}", "x" * 10),
    "GitHub": _planted(f"ghp_{_LETTERS}", _LETTERS[:8]),
    "GitHub, fine-grained": _planted(f"github_pat_{_LETTERS}_{_LETTERS}", _LETTERS[:8]),
    "GitLab": _planted(f"glpat-{_LETTERS}", _LETTERS[:8]),
    "OpenAI": _planted(f"sk-proj-{_LETTERS}", _LETTERS[:8]),
    "Slack": _planted(f"xoxb-1234567890-{_LETTERS}", _LETTERS[:8]),
    "NVIDIA": _planted(f"nvapi-{_LETTERS}", _LETTERS[:8]),
    "AWS key id": _planted("AKIAIOSFODNN7EXAMPLE", "IOSFODNN"),
    "web token": _planted("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJmb28ifQ.c2lnbmF0dXJl", "hbGciOi", "zdWIiOi"),
}
GENERATED: Final = {
    "AWS secret key": _planted(
        "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "JalrXUtn", "bPxRfiCY", known=False
    ),
    "hexadecimal": _planted("9f86d081884c7d659a2feaa0c55ad015", "9f86d081", known=False),
    "UUID": _planted("1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed", "1b9d6bcd", "9b5d-ab8d", known=False),
    "password": _planted("Tr0ub4dor&3", "Tr0ub4", known=False),
    "password of symbols": _planted("pl3ase!let$me%in7", "let$me", known=False),
    "number in hexadecimal": _planted("0xdeadbeefcafe", "deadbeef", known=False),
    "long number": _planted("73914482610057331", "7391448", known=False),
    "assignment": _planted("password=kitchen", "kitchen", known=False),
    "option": _planted("--api-key kitchen", "kitchen", known=False),
    "header": _planted("Authorization: Bearer kitchen", "kitchen", known=False),
}
ADDRESSES: Final = {
    "URL with a password": _planted("https://ops:kitchen@packages.example.org/simple", "kitchen"),
    "password with a slash": _planted("https://ops:kit/chen77@packages.example.org/simple", "kit/", "chen77"),
    "password with a question mark": _planted(
        "https://ops:kit?chen77@packages.example.org/x", "kit?", "chen77"
    ),
    "password with an at": _planted("https://ops:kit@chen77@packages.example.org/x", "kit@", "chen77"),
    "URL with a token for a password": _planted(f"https://x:{_LETTERS}@packages.example.org", _LETTERS[:8]),
    "URL with a token for a user": _planted(
        f"https://{_LETTERS}@packages.example.org", _LETTERS[:8], known=False
    ),
    "URL with a query": _planted("https://packages.example.org/s?token=kitchen", "kitchen", known=False),
    "URL with a fragment": _planted("https://packages.example.org/s#kitchen", "kitchen", known=False),
    "URL with a token in its path": _planted(
        f"https://packages.example.org/{_LETTERS}/simple", _LETTERS[:8], known=False
    ),
    "URL that ends in the password": _planted("https://ops:kitchen", "kitchen", known=False),
    "image of a registry with a password": _planted("docker://ops:kitchen@example.org/vllm", "kitchen"),
    "image with a password": _planted("ops:kitchen@registry.example.org/vllm:1", "kitchen", known=False),
    "password in place of a port": _planted("ops@bastion:kitchen", "kitchen", known=False),
    "bastion with a password": _planted("ops:kitchen@bastion", "kitchen", known=False),
}
KEYS: Final = {
    "private key": _planted(PRIVATE_KEY, "b3BlbnNz", "Zm9vYmFy"),
    "private key in lines": _planted(PRIVATE_KEY.replace(" ", "\n"), "b3BlbnNz", "Zm9vYmFy"),
}
SECRETS: Final = TOKENS | GENERATED | ADDRESSES | KEYS
