"""AWS Config in one account and region: its recorder, inventory, rules and results."""

import threading
from collections.abc import Iterable, Mapping
from typing import Any

from local.compliance import Compliance, Result
from local.config_recorders import ConfigurationRecorders
from local.config_rules import MAX_RULES, SCHEDULED, Rule, checked
from local.config_settings import Settings
from local.configuration_items import Item, change_type, difference
from local.faults import FaultKind
from local.inventory import Inventory
from local.paging import Pages
from local.rule_events import Change, Event, RuleEvents
from local.service_errors import ServiceError, invalid_parameter
from rolecall.items import partition_of

_RULES_PAGE = 25


class ConfigRegion:
    """One account's AWS Config in one region. Safe to use from many threads.

    Events go to the settings' `invoke` after the lock is released, from the thread that caused them.
    """

    def __init__(self, account: str, region: str, settings: Settings) -> None:
        self.account = account
        self.region = region
        self._settings = settings
        self._partition = partition_of(None, region)
        self._arn = f"arn:{self._partition}:config:{region}:{account}"
        self._lock = threading.RLock()
        self.recorders = ConfigurationRecorders(f"{self._arn}:configuration-recorder/", settings.clock)
        self._inventory = Inventory()
        self._compliance = Compliance(settings.resource_types)
        self._rules: dict[str, Rule] = {}
        self._rule_pages: Pages[Rule] = Pages()
        self._events = RuleEvents(
            account,
            settings.clock,
            self._compliance.issue_token,
            lambda: self.recorders.role_arn,
            settings.notification_limit,
        )

    # What happens in the account

    def start_recording(self, role_arn: str | None = None) -> None:
        """Set up the recorder and start it, as a landing zone does for every account."""
        role = role_arn or (
            f"arn:{self._partition}:iam::{self.account}:role/aws-service-role/config.amazonaws.com/"
            "AWSServiceRoleForConfig"
        )
        self.recorders.put({"ConfigurationRecorder": {"name": "default", "roleARN": role}})
        self.recorders.start({"ConfigurationRecorderName": "default"})

    def record(self, item: Item, *, oversized: bool = False) -> list[Event]:
        """Record a changed item and send it to the rules that it concerns; returns the events.

        Nothing happens while the recorder does not record such resources. `oversized` forces the oversized
        notification. Raises ValueError for an item of another account or region, or that is not the newest.
        """
        with self._lock:
            if not self._accepts(item):
                return []
            previous = self._inventory.add(item)
            diff, kind = difference(previous, item), change_type(previous, item)
            events = []
            for rule in self._rules.values():
                left = previous is not None and rule.covers(previous) and not rule.covers(item)
                if left or rule.covers(item):
                    change = Change(kind, diff, left_scope=left, oversized=oversized)
                    events.append((rule, self._events.change(rule, item, change)))
        return self._send(events)

    def load(self, items: Iterable[Item]) -> int:
        """Record items without telling any rule, for large inventories; returns how many were recorded."""
        recorded = 0
        with self._lock:
            for item in items:
                if self._accepts(item):
                    self._inventory.add(item)
                    recorded += 1
        return recorded

    def run_schedule(self, rule_name: str) -> Event:
        """Send the rule its ScheduledNotification, as at the end of its period; returns the event.

        Raises ValueError for a rule that does not subscribe to it.
        """
        rule, event = self._scheduled(rule_name)
        self._send([(rule, event)])
        return event

    def leave_scope(self, rule_name: str, resource_type: str, resource_id: str) -> Event | None:
        """Tell the rule that a resource has left its scope; returns the event, None if it does not subscribe to it."""
        with self._lock:
            rule, item = self._rule(rule_name), self._inventory.newest((resource_type, resource_id))
            if item is None:
                raise ValueError(f"{resource_type} {resource_id} has not been recorded")
            event = self._events.change(rule, item, Change("UPDATE", left_scope=True))
        self._send([(rule, event)])
        return event

    def event_for(self, rule_name: str, item: Item, *, oversized: bool = False, left_scope: bool = False) -> Event:
        """The event that the rule would get for an item, with a valid token; nothing is recorded or sent.

        Raises ValueError if the rule does not subscribe to it.
        """
        with self._lock:
            change = Change(change_type(None, item), left_scope=left_scope, oversized=oversized)
            event = self._events.change(self._rule(rule_name), item, change)
        if event is None:
            raise ValueError(f"{rule_name} does not subscribe to this kind of message")
        return event

    def scheduled_event_for(self, rule_name: str) -> Event:
        """The rule's ScheduledNotification with a valid token; nothing is sent. Raises as `run_schedule` does."""
        return self._scheduled(rule_name)[1]

    def results(self, rule_name: str) -> list[Result]:
        """What is recorded for a rule, without what is not applicable."""
        with self._lock:
            return self._compliance.results(self._rule(rule_name).arn)

    def results_by_rule(self) -> dict[str, list[Result]]:
        """The same for every rule."""
        with self._lock:
            return {rule.name: self._compliance.results(rule.arn) for rule in self._rules.values()}

    def newest(self, resource_type: str, resource_id: str) -> Item | None:
        """The last recorded item of a resource, even if it says that the resource is gone."""
        with self._lock:
            return self._inventory.newest((resource_type, resource_id))

    def current(self) -> list[Item]:
        """The last recorded items of all resources that are not deleted."""
        with self._lock:
            return self._inventory.current()

    # The API. Inputs have passed the service model.

    def put_evaluations(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """PutEvaluations."""
        ids = [one["ComplianceResourceId"] for one in request.get("Evaluations") or ()]
        with self._lock:
            fault = self._settings.faults.take("PutEvaluations", FaultKind.FAIL_EVALUATIONS, resource_ids=ids)
            failing = fault.resource_ids if fault else frozenset[str]()
            return self._compliance.put(request, failing, self._exists, self._settings.clock())

    def get_compliance_details_by_config_rule(self, request: dict[str, Any]) -> dict[str, Any]:
        """GetComplianceDetailsByConfigRule."""
        with self._lock:
            rule = self._rule(request["ConfigRuleName"])
            return self._compliance.details(rule.arn, request, empty=self._empty("GetComplianceDetailsByConfigRule"))

    def get_resource_config_history(self, request: dict[str, Any]) -> dict[str, Any]:
        """GetResourceConfigHistory."""
        with self._lock:
            self.recorders.required()
            return self._inventory.history(request, empty=self._empty("GetResourceConfigHistory"))

    def select_resource_config(self, request: dict[str, Any]) -> bytes:
        """SelectResourceConfig."""
        with self._lock:
            return self._inventory.select(request, empty=self._empty("SelectResourceConfig"))

    def put_config_rule(self, request: dict[str, Any]) -> dict[str, Any]:
        """PutConfigRule. A rule that is new or changed is evaluated at once."""
        given = request["ConfigRule"]
        with self._lock:
            self.recorders.required()
            known = self._known(given)
            definition = checked(given, known, f"{self._arn}:config-rule/", self._settings.resource_types)
            if not self._settings.function_exists(definition["Source"]["SourceIdentifier"]):
                raise ServiceError(
                    "InsufficientPermissionsException",
                    f"The AWS Lambda function {definition['Source']['SourceIdentifier']} cannot be invoked. Check the "
                    "specified function ARN, and check the function's permissions.",
                )
            if known is None and len(self._rules) >= MAX_RULES:
                raise ServiceError(
                    "MaxNumberOfConfigRulesExceededException",
                    f"Failed to put config rule '{definition['ConfigRuleName']}' because the account already contains "
                    f"{MAX_RULES} config rules.",
                )
            rule = self._rules[definition["ConfigRuleName"]] = Rule(definition)
            events = self._reevaluation(rule) if self._settings.evaluate_new_rules else []
        self._send(events)
        return {}

    def describe_config_rules(self, request: dict[str, Any]) -> dict[str, Any]:
        """DescribeConfigRules."""
        with self._lock:
            names = request.get("ConfigRuleNames") or []
            wanted = [self._rule(name) for name in names] if names else list(self._rules.values())
            page, token = self._rule_pages.page(
                tuple(names),
                lambda: wanted,
                _RULES_PAGE,
                request.get("NextToken"),
                empty=self._empty("DescribeConfigRules"),
            )
            answer: dict[str, Any] = {"ConfigRules": [rule.definition for rule in page]}
            return answer | ({"NextToken": token} if token else {})

    def delete_config_rule(self, request: dict[str, Any]) -> dict[str, Any]:
        """DeleteConfigRule: its results go with it."""
        with self._lock:
            rule = self._rule(request["ConfigRuleName"])
            del self._rules[rule.name]
            self._compliance.forget(rule.arn)
            return {}

    def start_config_rules_evaluation(self, request: dict[str, Any]) -> dict[str, Any]:
        """StartConfigRulesEvaluation: the last known items once more; for rules without them, the schedule."""
        names = request.get("ConfigRuleNames")
        if not names:
            raise invalid_parameter("ConfigRuleNames should be provided")
        with self._lock:
            rules, now = [self._rule(name) for name in names], self._settings.clock()
            for rule in rules:
                if rule.evaluated_ms is not None and now - rule.evaluated_ms < self._settings.reevaluation_interval_ms:
                    raise ServiceError(
                        "LimitExceededException",
                        f"The ConfigRule '{rule.name}' was evaluated less than a minute ago. Try again later.",
                    )
            for rule in rules:
                rule.evaluated_ms = now
            events = [event for rule in rules for event in self._reevaluation(rule)]
        self._send(events)
        return {}

    def _accepts(self, item: Item) -> bool:
        """Whether an item is recorded now. Raises ValueError for one of another account or region."""
        home = (item.get("awsAccountId"), item.get("awsRegion"))
        if home != (self.account, self.region):
            raise ValueError(f"the item is of {home[0]} in {home[1]}, not of {self.account} in {self.region}")
        return self.recorders.records(item["resourceType"])

    def _scheduled(self, rule_name: str) -> tuple[Rule, Event]:
        with self._lock:
            rule = self._rule(rule_name)
            if SCHEDULED not in rule.message_types:
                raise ValueError(f"{rule_name} does not subscribe to {SCHEDULED}")
            return rule, self._events.scheduled(rule)

    def _reevaluation(self, rule: Rule) -> list[tuple[Rule, Event | None]]:
        """The last known items once more; for a rule that gets no items, its schedule."""
        if rule.message_types == {SCHEDULED}:
            return [(rule, self._events.scheduled(rule))]
        in_scope = (item for item in self._inventory.current() if rule.covers(item))
        return [(rule, self._events.change(rule, item, Change("UPDATE"))) for item in in_scope]

    def _send(self, events: Iterable[tuple[Rule, Event | None]]) -> list[Event]:
        """Hand over the events that there are."""
        sent = []
        for rule, event in events:
            if event is not None:
                self._settings.invoke(rule.function_arn, event)
                sent.append(event)
        return sent

    def _empty(self, operation: str) -> bool:
        return self._settings.faults.take(operation, FaultKind.EMPTY_PAGE) is not None

    def _exists(self, rule_arn: str) -> bool:
        return any(rule.arn == rule_arn for rule in self._rules.values())

    def _rule(self, name: str) -> Rule:
        if name not in self._rules:
            raise ServiceError(
                "NoSuchConfigRuleException",
                f"The ConfigRule '{name}' provided in the request is invalid. Please check the configRule name",
            )
        return self._rules[name]

    def _known(self, given: Mapping[str, Any]) -> Rule | None:
        """The rule that a definition means: by its name, else by its ARN or id."""
        if name := given.get("ConfigRuleName"):
            return self._rules.get(name)
        for rule in self._rules.values():
            if rule.arn == given.get("ConfigRuleArn") or rule.rule_id == given.get("ConfigRuleId"):
                return rule
        return None
