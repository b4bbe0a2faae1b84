"""The Pulumi resources of a deployment; every decision was made in planning.

A resource is the same one for as long as its name, its type and its parents stay. Whoever renames or moves
one, or gives a component another type, gives it `aliases` in its options: without them the next `up` of every
stack makes a second one and deletes the first. `tests/aws/test_upgrade.py` upgrades what earlier releases
left.
"""
