"""What PostgreSQL's text can hold of a message: everything but NUL; pure.

One NUL from a disturbed line would else refuse the whole batch, again and again, and hold up every message behind it.
"""

from collections.abc import Iterator
from typing import Any

from ingest.contract import Message, Observation, RecordGroup

NUL, REPLACEMENT = "\x00", "\N{REPLACEMENT CHARACTER}"


def storable(message: Message) -> Message:
    """The message itself, or one with U+FFFD in place of every NUL; its bytes stay as they came."""
    if any(NUL in text for text in _texts(message) if text):
        return Message.model_validate(_without(message.model_dump(mode="json")))
    return message


def _texts(message: Message) -> Iterator[str | None]:
    yield from (message.channel, message.control_id, message.format, message.type)
    for group in message.groups:
        yield from _of_group(group)
        for observation in group.observations:
            yield from _of_observation(observation)


def _of_group(group: RecordGroup) -> Iterator[str | None]:
    yield group.specimen
    if group.identity:
        yield from (group.identity.patient_number, group.identity.name, group.identity.sex)
    if group.control:
        yield from (group.control.material, group.control.lot)


def _of_observation(observation: Observation) -> Iterator[str | None]:
    yield from (observation.code, observation.text, observation.value_text, observation.unit, observation.status)
    yield observation.run
    yield from observation.flags


def _without(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace(NUL, REPLACEMENT)
    if isinstance(value, dict):
        return {key: _without(each) for key, each in value.items()}
    return [_without(each) for each in value] if isinstance(value, list) else value
