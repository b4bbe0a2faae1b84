"""Downloads a model from the hub into the user's Hugging Face cache: `hub.py NAME REVISION RESULT`.

`nodectl install` runs it with the Python of a node environment, which carries `huggingface_hub`. REVISION
may be empty; RESULT is the file that receives the model's folder. HF_TOKEN opens gated models.
"""

import sys
from pathlib import Path
from typing import Final

from huggingface_hub import snapshot_download  # type: ignore[import-not-found]

UNUSED_FILES: Final = ["original/*", "*.pth", "*.gguf"]
"""What model repositories carry beside the weights that vLLM reads, often as large again."""


def main(name: str, revision: str, result: str) -> None:
    """Download, or say in one line why not and what else there is."""
    try:
        folder = snapshot_download(name, revision=revision or None, ignore_patterns=UNUSED_FILES)
    except Exception as error:  # noqa: BLE001, RUF100 - the library documents no closed set
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        sys.exit(
            f"{name}: {reason}\nwithout a way to the hub, put the model on the node (source kind: path)"
            " or take the generated one"
        )
    Path(result).write_text(folder, encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
