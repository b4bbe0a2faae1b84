"""Clients of a running Dynamo: its frontend, its registry of workers, NATS.

They ask and report; `proof` and `rollout` judge.
"""
