"""A local AWS to demonstrate and test rolecall against, on loopback alone.

aws.LocalAws            all of it behind one endpoint; `python -m local` starts it
config_service          AWS Config's evaluation plane, as strict as AWS; the state is in config_region and below it
security_hub            Security Hub, as strict as AWS, in all accounts and regions
aggregator              AWS Config's configuration aggregators
recorder                EC2 changes made through boto3 become configuration items
strict_sts              AssumeRole, which only works as the role's trust policy says
bucket_policies         what the policies of S3's buckets deny
local_lambda            Lambda's Invoke, for the functions that run here
event_source            Lambda's polling of queues; firehose_relay: from a bus to S3; state_machine: Step Functions
router, moto_process    every other service: moto, in a process of its own
"""
