"""How often in a row a backend did not know a job of ours: one that has just begun may not know it yet."""

from __future__ import annotations

from safelight.domain.outcomes import Answer, Failed, FailureClass, Unknown

IN_A_ROW = 3
"""So often, and a job is gone."""

_MOST_JOBS = 1000


class Absences:
    """Counts for the jobs of one connection in one process. One that is asked about no more gives way to newer ones."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}

    def count(self, job: str) -> bool:
        """The backend did not know the job: whether it is gone by now. Then counting begins anew."""
        absences = self._counts.pop(job, 0) + 1
        if absences >= IN_A_ROW:
            return True
        while len(self._counts) >= _MOST_JOBS:
            del self._counts[next(iter(self._counts))]
        self._counts[job] = absences
        return False

    def missed(
        self, job: str, answer: Answer, *, noun: str = "job", reason: FailureClass = FailureClass.PERMANENT
    ) -> Failed | Unknown:
        """How a job stands that the backend did not know. ``noun``: what the backend calls a job."""
        if not self.count(job):
            return Unknown(f"it knows no such {noun}", answer)
        return Failed(reason, f"it did not know the {noun} {IN_A_ROW} times in a row", answer=answer)

    def forget(self, job: str) -> None:
        """The backend knows the job, or says nothing of it."""
        self._counts.pop(job, None)
