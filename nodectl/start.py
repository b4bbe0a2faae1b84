"""Runs a verb of nodectl on this machine: `python -I nodectl/start.py VERB [OPTIONS]`.

Isolated (`-I`): neither PYTHONPATH nor another setting of the shell has a say in what is imported. Hosts have
`nodectl/run` for this.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from nodectl.__main__ import process

if __name__ == "__main__":
    sys.exit(process(sys.argv[1:]))
