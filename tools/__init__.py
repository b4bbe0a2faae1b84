"""Tools that build and check the project: the toolchain, the lab, generators of checked-in data."""
