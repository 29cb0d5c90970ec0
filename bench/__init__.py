"""Benchmarks: function, scheduled run, organization and command line, beside yardsticks measured in the same run.

`make bench` runs everything, `python -m bench --help` tells how to run a part. Figures and what they mean are in
docs/performance.md. Targets are held against processor time, which other work on the machine moves far less than the
wall's clock; both are shown.

    function      cold start, warm events, memory, package and calls, beside a floor and beside rdklib
    schedule      a scheduled run over many instances, beside rdklib's periodic pattern
    organization  runs of several sizes in a member account, and what they make of 1,000,000 instances
    snapshot      `rolecall evaluate` on a large snapshot, beside jq and beside gzip alone
    evidence      a day's package of 1,000,000 instances: collected, sealed, and verified beside sha256sum and gzip
    memory        cold start and warm events with the processor share of several Lambda memory sizes

    population    made-up instances in every shape that AWS shows them in
    endpoint      the AWS endpoints that the functions call: TLS on loopback, answers made beforehand
    candidates    what is compared: our package, the floor and rdklib, as folders with a handler
    clocked       one execution environment and its processor time
    estimate      calls, function-seconds, dollars and time of a whole organization
    figures       medians, spreads, ratios
    report        the tables
"""
