"""Shells and hosts that are set to whatever could be in a deployment's way."""

from pathlib import Path

PROXIES = [f"{scheme}_proxy" for scheme in ("all", "ftp", "http", "https")]
PROXY_NAMES = [*PROXIES, *map(str.upper, PROXIES)]


def hostile(folder: Path, proxy: str) -> dict[str, str]:
    """Return names and values that nothing on a node may follow; `folder` holds what they lead to."""
    traps = folder / "traps"
    traps.mkdir(exist_ok=True)
    for name in ("secrets", "json", "argparse", "pydantic", "httpx", "psutil", "pathlib", "nodectl"):
        (traps / f"{name}.py").write_text("raise ImportError('the wrong module')\n", encoding="utf-8")
    return {
        **dict.fromkeys(PROXY_NAMES, proxy),
        "HF_HOME": str(folder / "hf-home"),
        "HF_HUB_CACHE": str(folder / "hf-cache"),
        "HF_TOKEN": "hf_0left0in0somebodys0shell",
        "HF_HUB_OFFLINE": "yes",
        "HUGGING_FACE_HUB_TOKEN": "hf_0left0there0long0ago",
        "TRANSFORMERS_OFFLINE": "yes",
        "LANG": "de_DE.ISO-8859-1",
        "LC_ALL": "tr_TR.UTF-8",
        "LANGUAGE": "fr",
        "TZ": "Pacific/Chatham",
        "UMASK": "0000",
        "TMPDIR": str(folder),
        "DYN_NAMESPACE": "of-the-shell",
        "DYN_DISCOVERY_BACKEND": "file",
        "DYN_REQUEST_PLANE": "http",
        "DYN_LOG": "trace,planted",
        "ETCD_ENDPOINTS": "127.0.0.1:9",
        "NATS_SERVER": "nats://127.0.0.1:9",
        "ETCD_NAME": "of-the-shell",
        "VLLM_HOST_IP": "127.0.0.9",
        "CUDA_VISIBLE_DEVICES": "7",
        "NCCL_SOCKET_IFNAME": "planted0",
        "SUPERVISOR_SERVER_URL": "http://127.0.0.1:9/planted",
    }


def hostile_to_installs(folder: Path, proxy: str) -> dict[str, str]:
    """Return the same, and what changes Python, pip and uv themselves, wherever they start in that shell."""
    return {
        **hostile(folder, proxy),
        "PIP_REQUIRE_VIRTUALENV": "on",
        "PIP_TARGET": str(folder / "pip-target"),
        "PIP_NO_BINARY": ":all:",
        "UV_OFFLINE": "on",
        "UV_PYTHON": "3.8",
        "UV_NO_BINARY": "true",
        "PYTHONPATH": str(folder / "traps"),
        "PYTHONSAFEPATH": "yes",
        "PYTHONOPTIMIZE": "2",
        "PYTHONWARNINGS": "error",
    }
