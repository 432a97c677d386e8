"""Proofs of delivery: the pipeline meets a fault, then its outputs are held against the oracle.

``python -m tests.proof --help`` runs one proof by its seed; the faults are in
``catalogue``. ``python -m tests.proof.soak --help`` lets it run under load for an hour. On Apache
Kafka nothing may be missing, twice, different, out of order or in the wrong partition. The embedded
broker shows aborted transactions to readers, so after a kill outputs may be there twice (hence out
of order) by design; missing or different ones are defects there too.
"""
