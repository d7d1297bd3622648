"""Commands as an app sends them, and what each is answered."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import UUID7, AwareDatetime, BaseModel, ConfigDict, Field

from lims_api.results.schemas import Correction, SettingAside
from lims_api.specimens.schemas import Receipt, Rejection


class CommandIn(BaseModel):
    """One command: its id is made by the app and is the key under which it is answered once and for ever."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    id: UUID7
    name: str = Field(max_length=60, description="e.g. specimens.receive")
    body: dict[str, Any] = Field(repr=False, description="as the route of the same name takes it")
    made_at: AwareDatetime
    device: UUID


class PushIn(BaseModel):
    """What an app has to say, oldest first."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    commands: list[CommandIn] = Field(min_length=1, max_length=100)


class CommandOut(BaseModel):
    """`status` 2xx: applied, `reply` is the command's. 4xx: refused, `reply` is the problem. 5xx: send it again."""

    id: UUID
    status: int
    reply: dict[str, Any]


class PushOut(BaseModel):
    """Answers in the order sent; behind a 5xx nothing was tried, and there is no answer."""

    answers: list[CommandOut]
    server_time: datetime


class PullOut(BaseModel):
    """`reset`: forget what you have first. `more`: pull again at once, with the new cursor."""

    cursor: str
    reset: bool
    documents: dict[str, list[dict[str, Any]]] = Field(description="whole documents by kind; a newer one replaces it")
    gone: dict[str, list[str]] = Field(description="ids by kind of what you must not have any more")
    more: bool
    server_time: datetime


# bodies of commands whose routes name their subject in the path

_ACCESSION = Field(min_length=1, max_length=40)


class SpecimenReceipt(Receipt):
    accession_number: str = _ACCESSION


class SpecimenRejection(Rejection):
    accession_number: str = _ACCESSION


class ResultRejection(BaseModel):
    result_id: UUID


class ResultCorrection(Correction):
    result_id: UUID


class ParkedAside(SettingAside):
    id: UUID
