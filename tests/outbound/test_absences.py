"""When a job that its backend does not know is gone."""

from safelight.domain.outcomes import Answer, Failed, FailureClass, Unknown
from safelight.outbound.absences import Absences


def test_three_times_in_a_row() -> None:
    absences = Absences()
    assert [absences.count("a") for _ in range(4)] == [False, False, True, False]


def test_once_known_in_between_counts_anew_and_each_job_for_itself() -> None:
    absences = Absences()
    assert [absences.count("a"), absences.count("b"), absences.count("a")] == [False, False, False]
    absences.forget("a")
    assert [absences.count("a"), absences.count("b"), absences.count("b")] == [False, False, True]


def test_those_that_nobody_asks_about_any_more_give_way() -> None:
    absences = Absences()
    for job in range(5000):
        absences.count(str(job))
    assert len(absences._counts) == 1000
    assert [absences.count("4999"), absences.count("4999")] == [False, True]


def test_nothing_is_certain_of_a_job_until_it_is_gone() -> None:
    absences, answer = Absences(), Answer(status=404)
    told = [absences.missed("a", answer, noun="task", reason=FailureClass.TRANSIENT) for _ in range(3)]
    assert told == [
        Unknown("it knows no such task", answer),
        Unknown("it knows no such task", answer),
        Failed(FailureClass.TRANSIENT, "it did not know the task 3 times in a row", answer=answer),
    ]
    assert [type(absences.missed("b", answer)) for _ in range(2)] == [Unknown, Unknown]
    assert absences.missed("b", answer) == Failed(
        FailureClass.PERMANENT, "it did not know the job 3 times in a row", answer=answer
    )
