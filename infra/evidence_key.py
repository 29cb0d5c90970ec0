"""The key that signs packages: it never leaves KMS, and the seal function alone signs with it."""

from aws_cdk import CfnDeletionPolicy, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct

from infra.evidence_names import prefix, role_arn
from infra.settings import Settings

_ADMINISTRATION = (
    "kms:CancelKeyDeletion",
    "kms:CreateAlias",
    "kms:DeleteAlias",
    "kms:DescribeKey",
    "kms:DisableKey",
    "kms:EnableKey",
    "kms:GetKeyPolicy",
    "kms:GetKeyRotationStatus",
    "kms:GetPublicKey",
    "kms:ListGrants",
    "kms:ListKeyPolicies",
    "kms:ListResourceTags",
    "kms:PutKeyPolicy",
    "kms:RetireGrant",
    "kms:RevokeGrant",
    "kms:ScheduleKeyDeletion",
    "kms:TagResource",
    "kms:UntagResource",
    "kms:UpdateAlias",
    "kms:UpdateKeyDescription",
    "kms:Verify",
)
"""Whatever IAM allows in the account, but neither to sign nor to give others a grant to. Who may change the key's
policy can change that, too; CloudTrail tells."""


class SigningKey(Construct):
    """ECDSA on the curve P-256. It outlives the stack, and its own replacement: without it a chain of packages ends."""

    def __init__(self, scope: Construct, construct_id: str, *, settings: Settings) -> None:
        super().__init__(scope, construct_id)
        number = settings.evidence_key_number
        key = kms.CfnKey(
            self,
            # Under another name, CloudFormation makes another key: so it hangs on nothing but the number.
            "Key" if number == 1 else f"Key{number}",
            description="Signs the evidence packages of rolecall",
            key_spec="ECC_NIST_P256",
            key_usage="SIGN_VERIFY",
            key_policy=iam.PolicyDocument(
                statements=[
                    iam.PolicyStatement(
                        sid="Administration",
                        principals=[iam.AccountRootPrincipal()],
                        actions=[*_ADMINISTRATION],
                        resources=["*"],  # in a key policy: this key
                    ),
                    iam.PolicyStatement(
                        sid="OnlyTheSealSigns",
                        principals=[iam.AccountRootPrincipal()],
                        actions=["kms:Sign"],
                        resources=["*"],
                        conditions={
                            "ArnEquals": {"aws:PrincipalArn": role_arn(Stack.of(self), settings, "seal")},
                            "StringEquals": {"kms:SigningAlgorithm": "ECDSA_SHA_256", "kms:MessageType": "RAW"},
                        },
                    ),
                ]
            ),
        )
        key.cfn_options.deletion_policy = CfnDeletionPolicy.RETAIN
        key.cfn_options.update_replace_policy = CfnDeletionPolicy.RETAIN
        self.arn = key.attr_arn
        kms.CfnAlias(self, "Alias", alias_name=f"alias/{prefix(settings)}-evidence", target_key_id=key.ref)
