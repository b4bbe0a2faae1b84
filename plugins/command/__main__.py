"""Entry point: makes the project importable whatever the working directory is, then serves."""

import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[2])

if __name__ == "__main__":
    from tools.toolchain import loopback

    loopback.begin()  # before gRPC is loaded, which is what talks to the engine
    from plugins.command.server import main

    main()
