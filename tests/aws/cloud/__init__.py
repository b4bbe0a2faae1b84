"""AWS as the tests see it: moto's server, with what moto lacks and what EC2 refuses though moto accepts it.

Whoever speaks to it, the stand-in of this folder, Pulumi's own provider or boto3, meets the same refusals.
Its instances can be hosts of the lab (`machines`), booted at their primary interface's private address.
"""
