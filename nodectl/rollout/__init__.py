"""How a change reaches running services without losing a request: one after another.

A service takes a slot of its role (`slots`), is restarted, must get healthy, be listed by the frontends and
answer (`comeback`, `serving`), and gives the slot back (`turns`). One that does not serve again stops the
change of its role: the others stay as they were (`failures`).
"""
