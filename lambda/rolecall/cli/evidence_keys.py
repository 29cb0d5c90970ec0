"""`rolecall evidence keys`: the public key that evidence is verified with."""

from pathlib import Path
from typing import Annotated

import typer

from rolecall.cli.evidence_place import KMS_KEY, ProfileOption, RegionOption
from rolecall.cli.output import UNUSABLE, opened, output_path
from rolecall.cli.screen import complain, say
from rolecall.errors import AwsError, InvalidKey, shown


def keys(
    *,
    key: Annotated[str, typer.Option(metavar="ID", help="The KMS key: its id, ARN or alias.", show_default=False)],
    profile: ProfileOption = None,
    region: RegionOption = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE", parser=output_path, help="Default: standard output.", show_default=False
        ),
    ] = None,
) -> None:
    """Export the public key that the packages are signed with, as PEM.

    Give it to the auditor by a way that whoever could change packages cannot change, with the fingerprint, which is
    said on standard error: the SHA-256 of the key in DER, as every `manifest.sig` names it. Needs kms:GetPublicKey.

    **Example**

    ```
    rolecall evidence keys --key alias/Rolecall-evidence --profile audit --output public-key.pem
    ```

    **Exit codes**

    - `0` the key was written
    - `2` an option is wrong, or KMS does not give the key
    """
    # Both load slowly, and --help needs none of them.
    from rolecall.aws.evidence_account import EvidenceAccount  # noqa: PLC0415 - as above
    from rolecall.evidence.keys import PublicKey  # noqa: PLC0415 - as above

    if not KMS_KEY.fullmatch(key):
        raise typer.BadParameter(f"{shown(key)} is no id, ARN or alias of a KMS key", param_hint="--key")
    try:
        with EvidenceAccount(profile).signing_key(key, region) as signing_key:
            exported = PublicKey.from_der(signing_key.public_key_der)
    except (AwsError, InvalidKey) as error:
        complain(str(error))
        raise typer.Exit(UNUSABLE) from None
    with opened(output) as out:
        out.write(exported.pem())
    say(f"fingerprint {exported.fingerprint}")
