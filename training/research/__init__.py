"""Studies behind the defaults: transfer between markets, ablations, the fit of the prior.

Nothing here runs in production; each module is a command.
"""
