"""Audit evidence: one signed, chained package for each UTC day, and the command that verifies it offline.

A package is a pure function of what was collected for its day and of the package before it: no wall clock, no chance.
How a day goes:

    plan          which accounts and regions it covers, and which it does not, and why
    collecting    one account and region becomes a shard: one `rows.EvidenceRow` for each instance
    contents      the shards, the ledger's records and the package before become the files of a package
    sealing       they are listed, signed, and hung on the package before
    verifying     whether all of that is still so

`steps` and `packaging` put them together. `replaying` is another way to verdicts: of days before there was evidence.
"""
