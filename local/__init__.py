"""A local AWS to demonstrate and test rolecall against, on loopback alone.

aws.LocalAws            all of it behind one endpoint; `python -m local` starts it
config_service          AWS Config's evaluation plane, as strict as AWS; the state is in config_region and below it
recorder                EC2 changes made through boto3 become configuration items
strict_sts              AssumeRole, which only works as the role's trust policy says
local_lambda            Lambda's Invoke, for the functions that run here
router, moto_process    every other service: moto, in a process of its own
"""
