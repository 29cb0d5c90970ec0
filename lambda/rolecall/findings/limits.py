"""How much a finding may hold.

Where Security Hub says so, it is in the service's own model: botocore's `securityhub`, mostly in the prose of
`AwsSecurityFinding` and `Compliance`, which tests hold these numbers against. Where it says nothing, the limit is
rolecall's own, so that no record, whatever it holds, becomes a finding that is too large.
"""

ID = 512
PRODUCT_ARN = 2048
GENERATOR_ID = 512
REGION = 16
TITLE = 256
DESCRIPTION = 1024
PRODUCT_NAME = 128
COMPANY_NAME = 128
RECOMMENDATION_TEXT = 512
RESOURCE_TYPE = 256
PRODUCT_FIELDS = 50
PRODUCT_FIELD_KEY = 128
PRODUCT_FIELD_VALUE = 2048
TYPES = 50
RELATED_REQUIREMENTS = 32

TAGS = 50
"""`Tags must follow AWS tag naming limits and requirements`: EC2's are 50 for each resource, in which those that AWS
sets are not counted; here they are, after the others."""
TAG_KEY = 128
TAG_VALUE = 256

FINDING_BYTES = 240_000
"""240 KB for one finding: the guide of BatchImportFindings. Whether a KB is 1,000 or 1,024 bytes it does not say."""

RESOURCE_ID = 512
"""Own: Security Hub says nothing. An instance's ARN has some 80 characters."""
RELATED_REQUIREMENT = 64
"""Own: what another publisher of findings, Prowler, cuts at from experience."""
STATUS_REASON = 1024
"""Own. An annotation has at most 256 characters."""
PROFILE_ARN = 1024
"""Own. The path of an instance profile has at most 512 characters, its name 128."""
FACT = 256
"""Own: ids, types and states, and what tags declare, whose values have at most 256 characters."""
