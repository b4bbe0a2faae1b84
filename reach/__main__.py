"""`python -m remote` under the name that it had up to release 0.2, which delete commands in state have.

The first `up` after an upgrade writes the present name; a `destroy` before it needs this one.
"""

import runpy

runpy.run_module("remote", run_name="__main__", alter_sys=True)
