"""Features for Feast: a repository made from the contract, its data from the archive.

Feast runs in an environment of its own, since it wants older versions of some packages than the
rest: ``environment`` makes and finds it, ``definitions`` writes the repository, ``data`` its rows.
"""
