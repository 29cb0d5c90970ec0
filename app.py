"""`cdk synth`: settings become stacks. No logic, no network."""

import sys

from aws_cdk import App, Validations
from cdk_nag import AwsSolutionsChecks

from infra.organization_settings import read_settings
from infra.package import PackageError
from infra.package.asset import packaged_code
from infra.setting_types import InvalidSettings
from infra.stacks import add_stacks


def main() -> None:
    """Write the cloud assembly.

    Wrong settings, and a package that cannot be built, end in one line; a finding of cdk-nag in the CDK's report.
    """
    app = App()
    try:
        add_stacks(app, read_settings(app.node.get_all_context()), packaged_code)
    except (InvalidSettings, PackageError) as refused:
        sys.exit(str(refused))
    Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    app.synth()


if __name__ == "__main__":
    main()
