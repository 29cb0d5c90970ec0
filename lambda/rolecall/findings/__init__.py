"""Security Hub findings: what an evaluation record becomes, and the whole life of it.

    identity    which finding a record speaks of, and what its verdict is called there
    severity    how much a reason matters, and to whom
    settings    what the operator may choose about findings
    asff        record → finding in the AWS Security Finding Format
    ocsf        the same record as a Compliance Finding of the Open Cybersecurity Schema Framework
    lifecycle   record + what was sent before → what is to be sent now
    shown       what Security Hub shows, in little room
    reconciling what it shows, held against what AWS Config recorded
    mending     what is to be said of the differences

All of these are pure: time, settings and what was sent before are arguments.
"""
