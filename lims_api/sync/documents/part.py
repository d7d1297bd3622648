"""What a pull gathers: documents by kind, ids that are gone, and whose data is among them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import TextClause
from sqlalchemy.orm import Session

from lims_api.sync.scope import Scope


@dataclass
class Part:
    """Documents are JSON texts, as the database made them."""

    documents: dict[str, list[str]] = field(default_factory=dict)
    gone: dict[str, list[str]] = field(default_factory=dict)
    patient_ids: set[UUID] = field(default_factory=set)

    @property
    def size(self) -> int:
        """How many documents there are."""
        return sum(map(len, self.documents.values()))

    def add(self, kind: str, documents: Iterable[str], patient_ids: Iterable[UUID] = ()) -> None:
        """Documents of one kind, and the patients they tell of."""
        self.documents.setdefault(kind, []).extend(documents)
        self.patient_ids.update(patient_ids)

    def lose(self, kind: str, ids: Iterable[UUID]) -> None:
        """What the app must no longer have."""
        lost = [str(each) for each in ids]
        if lost:
            self.gone.setdefault(kind, []).extend(lost)

    def read(self, kind: str, session: Session, statement: TextClause, values: Mapping[str, Any]) -> None:
        """Rows of a document and, in second place, the patient that it tells of."""
        rows = session.execute(statement, values).all()
        self.add(kind, (row[0] for row in rows), (row[1] for row in rows if len(row) > 1))


def seen_by(scope: Scope, **values: Any) -> dict[str, Any]:
    """The parameters that every statement has, and its own."""
    return {"organization_id": scope.organization_id, "site_id": scope.site_id, **values}
