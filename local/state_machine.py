"""The state machine of the evidence export, run as its synthesized template says, with the functions behind it.

A small strict interpreter, because the emulators at hand hold less than it takes: in moto a map with failed items
succeeds, which is the very thing to be tested, and the results that it writes are empty.
"""

import json
import random
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.cloud_assembly import AssemblyError, Place, mapping, read_stacks
from local.execution_environment import InvocationResult
from local.states_language import (
    StateFailed,
    at_path,
    check_machine,
    limited,
    parameters,
    retriers,
    with_result,
)

TYPE = "AWS::StepFunctions::StateMachine"

DEFAULT_CONCURRENCY = 10_000
"""Of a distributed map that sets no `MaxConcurrency`."""

Invoke = Callable[[str, object], InvocationResult]
"""Invokes the function of an ARN with a payload, and waits."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try of a task."""

    state: str
    input: Any
    error: str | None


@dataclass(frozen=True, slots=True)
class Execution:
    """What became of a run."""

    status: str
    """SUCCEEDED, FAILED or TIMED_OUT."""
    output: Any
    error: str | None
    cause: str | None
    attempts: tuple[Attempt, ...]
    """In the order of their ends."""


def read_definition(
    cdk_out: Path, logical_id: str, place: Place, physical_ids: Mapping[str, str] | None = None
) -> Mapping[str, Any]:
    """The definition of a synthesized state machine, with whatever it refers to. Raises AssemblyError."""
    for stack in read_stacks(cdk_out, place, physical_ids):
        if logical_id in stack.of_type(TYPE):
            properties = stack.of_type(TYPE)[logical_id]
            where = f"{logical_id}.Definition"
            return mapping(stack.resolve(properties.get("Definition"), where), where)
    raise AssemblyError(f"{cdk_out} holds no state machine with the logical id {logical_id}")


class StateMachine:
    """Runs a definition. `s3` is a boto3 client, `time_scale` shortens the waiting before retries.

    Raises UnknownLanguage at once for a definition that is not understood as a whole.
    """

    def __init__(
        self,
        definition: Mapping[str, Any],
        invoke: Invoke,
        s3: Any,  # noqa: ANN401 - made by boto3
        *,
        time_scale: float = 1.0,
    ) -> None:
        check_machine(definition)
        self._definition = definition
        self._invoke = invoke
        self._s3 = s3
        self._time_scale = time_scale

    def run(self, given: object) -> Execution:
        """Run it once with an input, to its end."""
        return _Run(self._definition, self._invoke, self._s3, self._time_scale).ended(given)


class _Run:
    def __init__(self, definition: Mapping[str, Any], invoke: Invoke, s3: Any, time_scale: float) -> None:  # noqa: ANN401 - made by boto3
        self._definition = definition
        self._invoke = invoke
        self._s3 = s3
        self._time_scale = time_scale
        self._ends_at = time.monotonic() + definition.get("TimeoutSeconds", float("inf"))
        self._lock = threading.Lock()
        self._attempts: list[Attempt] = []

    def ended(self, given: object) -> Execution:
        output, error, cause = None, None, None
        try:
            output = self._states(self._definition, given)
        except StateFailed as failed:
            error, cause = failed.error, failed.cause
        status = "SUCCEEDED" if error is None else "TIMED_OUT" if error == "States.Timeout" else "FAILED"
        return Execution(status, output, error, cause, tuple(self._attempts))

    def _states(self, machine: Mapping[str, Any], state_input: object) -> object:
        name: str | None = machine["StartAt"]
        while name is not None:
            if time.monotonic() > self._ends_at:
                raise StateFailed("States.Timeout", f"{self._definition['TimeoutSeconds']} seconds are over")
            state = machine["States"][name]
            limited(state_input, f"the input of {name}")
            if state["Type"] == "Task":
                result = self._task(name, state, state_input)
                output = at_path(result, state.get("OutputPath", "$"))
            else:
                result = self._map(name, state, state_input)
                output = with_result(state_input, state.get("ResultPath", "$"), result)
            state_input = limited(output, f"the output of {name}")
            name = state.get("Next")
        return state_input

    def _task(self, name: str, state: Mapping[str, Any], state_input: object) -> object:
        every = retriers(state)
        used = [0] * len(every)
        while True:
            try:
                return self._attempt(name, state, state_input)
            except StateFailed as failed:
                index = next((at for at, one in enumerate(every) if one.matches(failed.error)), None)
                if index is None or used[index] == every[index].max_attempts:
                    raise
                used[index] += 1
                delay = every[index].delay(used[index])
                if every[index].full_jitter:
                    delay = random.uniform(0, delay)  # noqa: S311 - jitter needs no secret
                time.sleep(delay * self._time_scale)

    def _attempt(self, name: str, state: Mapping[str, Any], state_input: object) -> object:
        asked = parameters(state["Parameters"], state_input)
        result = self._invoke(asked["FunctionName"], asked.get("Payload"))
        failed = result.error
        with self._lock:
            self._attempts.append(Attempt(name, state_input, failed.error_type if failed else None))
        if failed:
            raise StateFailed(failed.error_type, failed.message)
        return limited(
            {"ExecutedVersion": "$LATEST", "Payload": result.payload, "StatusCode": 200}, f"the result of {name}"
        )

    def _map(self, name: str, state: Mapping[str, Any], state_input: object) -> object:
        items = self._items(state["ItemReader"], state_input)
        tolerated: int = state.get("ToleratedFailureCount", 0)
        given_up = threading.Event()
        failures: list[StateFailed] = []

        def processed(item: object) -> tuple[object, object, StateFailed | None]:
            if given_up.is_set():
                return item, None, StateFailed("States.Aborted", "not begun: the map run had failed before")
            try:
                return item, self._states(state["ItemProcessor"], item), None
            except StateFailed as failed:
                with self._lock:
                    failures.append(failed)
                    if len(failures) > tolerated:
                        given_up.set()
                return item, None, failed

        with ThreadPoolExecutor(min(state.get("MaxConcurrency") or DEFAULT_CONCURRENCY, len(items) or 1)) as pool:
            done = list(pool.map(processed, items))
        run_id = str(uuid.uuid4())
        details = self._write_results(state["ResultWriter"], state_input, run_id, done)
        if given_up.is_set():
            worst = failures[0]
            raise StateFailed(
                "States.ExceedToleratedFailureThreshold",
                f"{name}: {len(failures)} of {len(items)} items failed, the first with {worst}",
            )
        return {"MapRunArn": f"arn:aws:states:::mapRun:{name}:{run_id}", "ResultWriterDetails": details}

    def _items(self, reader: Mapping[str, Any], state_input: object) -> list[object]:
        asked = parameters(reader["Parameters"], state_input)
        try:
            body = self._s3.get_object(Bucket=asked["Bucket"], Key=asked["Key"])["Body"].read()
            items = json.loads(body)
        except (self._s3.exceptions.ClientError, ValueError) as error:
            raise StateFailed("States.ItemReaderFailed", f"{asked}: {error}") from error
        if not isinstance(items, list):
            raise StateFailed("States.ItemReaderFailed", f"{asked} holds no JSON array")
        return items

    def _write_results(
        self,
        writer: Mapping[str, Any],
        state_input: object,
        run_id: str,
        done: list[tuple[object, object, StateFailed | None]],
    ) -> dict[str, str]:
        """The manifest and a file for each outcome. Developer Guide, "ResultWriter (Map)"."""
        target = parameters(writer["Parameters"], state_input)
        folder = f"{target['Prefix']}/{run_id}"
        outcomes: dict[str, list[dict[str, object]]] = {"SUCCEEDED": [], "FAILED": [], "PENDING": []}
        for item, output, failed in done:
            told: dict[str, object] = {"Input": json.dumps(item)}
            if failed is None:
                outcomes["SUCCEEDED"].append({**told, "Output": json.dumps(output), "Status": "SUCCEEDED"})
            elif failed.error == "States.Aborted":
                outcomes["PENDING"].append({**told, "Status": "PENDING"})
            else:
                error = {"Error": failed.error, "Cause": failed.cause}
                outcomes["FAILED"].append({**told, **error, "Status": "FAILED"})
        files = {}
        for outcome, listed in outcomes.items():
            key = f"{folder}/{outcome}_0.json"
            files[outcome] = [{"Key": key}] if listed else []
            if listed:
                self._put(target["Bucket"], key, listed)
        manifest = f"{folder}/manifest.json"
        self._put(target["Bucket"], manifest, {"DestinationBucket": target["Bucket"], "ResultFiles": files})
        return {"Bucket": target["Bucket"], "Key": manifest}

    def _put(self, bucket: str, key: str, document: object) -> None:
        self._s3.put_object(Bucket=bucket, Key=key, Body=json.dumps(document).encode())
