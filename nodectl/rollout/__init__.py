"""Rolling changes: running services change one after another, and no request is lost.

A service takes a lock of its role (`locks`), is restarted, must get healthy, be listed by the frontends and
answer (`readiness`, `serving`), and gives the lock back (`rolling`). One that does not serve again stops the
change of its role: the others stay as they were (`failures`).
"""
