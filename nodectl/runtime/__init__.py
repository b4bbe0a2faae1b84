"""Installs of a machine: environments, stores, models, container images, shared libraries.

Starting a service is not done here.
"""
