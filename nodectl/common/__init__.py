"""Helpers of all packages of nodectl: errors, files, commands, waits, paths, environments of processes.

Nothing here knows a service, a supervisor or Dynamo.
"""
