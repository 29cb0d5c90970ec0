"""Does every EC2 instance carry an IAM instance profile, or a documented reason not to?

How an event becomes an evaluation:

    events.parse_invocation   the Lambda event, a JSON string inside JSON, becomes an `Invocation`
    items.configuration_item  every shape of a configuration item becomes one `ConfigurationItem`
    rule.evaluate             item + rule parameters + now become an `Evaluation`; pure, no I/O
    responding                decides what to fetch and put for each message type
    aws                       everything that speaks to AWS
    record                    the evaluation as the JSON object that other systems consume

What becomes of the records:

    received_record           a record, read back by whoever consumes it
    findings                  Security Hub findings: what to send, and what was sent before
    evidence                  a signed package of every day, and the command that verifies it
"""

__version__ = "0.1.0"
