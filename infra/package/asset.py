"""The package as the CDK takes it; apart from the builder because importing the CDK takes seconds."""

from aws_cdk import aws_lambda

from infra.package.build import build_package
from infra.package.contents import Contents


def packaged_code(contents: Contents) -> aws_lambda.AssetCode:
    """The code of the functions that a package is for, built when it is not there already. Raises PackageError.

    The asset's hash comes from the package's inputs, so that a template is the same on every machine.
    """
    package = build_package(contents)
    return aws_lambda.Code.from_asset(str(package.path), asset_hash=package.key)
