"""The package as the CDK takes it; apart from the builder because importing the CDK takes seconds."""

from aws_cdk import aws_lambda

from infra.package.build import build_package


def packaged_code() -> aws_lambda.AssetCode:
    """The code of every function, built when it is not there already. Raises PackageError.

    The asset's hash comes from the package's inputs, so that a template is the same on every machine.
    """
    package = build_package()
    return aws_lambda.Code.from_asset(str(package.path), asset_hash=package.key)
