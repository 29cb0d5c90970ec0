"""Every call to AWS: nothing outside this package imports boto3.

Throttling, outages and lost connections are retried by botocore's `standard` mode, with backoff and jitter, as long as
the invocation's time allows. What AWS only reports inside a successful answer (FailedEvaluations, FailedEntryCount,
NextToken, a body that is no JSON) is looked at here and never ignored.
"""
