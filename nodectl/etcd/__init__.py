"""Clients of a deployment's etcd: registrations, gang epochs, the data mark."""
