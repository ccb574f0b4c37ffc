"""Orders placed, told, followed and brought home; each is one generation and one charge, however often it is sent."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import msgspec

from safelight.cli.client.answers import Canceled, Generation, Generations, read
from safelight.cli.client.connection import Answer, Connection
from safelight.cli.client.delivery import deliver
from safelight.cli.client.exits import OK, UNKNOWN, Answered, CommandFailed, Unreachable
from safelight.cli.client.follow import ended, failure_of, how_to_go_on, look
from safelight.cli.client.journal import Journal, Order
from safelight.cli.client.output import note, result, result_json, told
from safelight.cli.client.progress import Progresses
from safelight.cli.client.targets import Target

_AT_ONCE = 4
_LOOK_SECONDS = (0.1, 0.2, 0.4, 0.8)
_LOOK_LATER_SECONDS = 2.0
_ANSWER_SECONDS = 5.0


class How(msgspec.Struct, frozen=True, kw_only=True):
    """What is done with what is made."""

    target: Target | None
    as_json: bool = False
    waits: bool = True
    opens: bool = False
    cancels: bool = False


class Making:
    """The orders of one entry of the journal."""

    def __init__(self, connection: Connection, journal: Journal, how: How) -> None:
        self._connection = connection
        self._journal = journal
        self._entry = journal.entry
        self._how = how
        self._told: set[str] = set()
        self._over: set[str] = set()
        self._places = asyncio.Semaphore(_AT_ONCE)
        self._progress = Progresses()

    async def all(self) -> int:
        """Bring every order to its end; the exit status: the first that is not 0."""
        orders = self._entry.orders
        with self._progress:
            try:
                statuses = await asyncio.gather(*(self._one(number, order) for number, order in enumerate(orders, 1)))
            except asyncio.CancelledError:
                await self._interrupted()
                raise
        return next((status for status in statuses if status != OK), OK)

    async def _one(self, number: int, order: Order) -> int:
        async with self._places:
            try:
                await self._make(number, order)
            except CommandFailed as error:
                self._over.add(order.key)
                if isinstance(error, Answered) and order.id is None and error.status != UNKNOWN:
                    self._journal.note_refusal(order, error.answer_code, error.message)
                return told(error, as_json=self._how.as_json)
        self._over.add(order.key)
        return OK

    async def _make(self, number: int, order: Order) -> None:
        if order.refusal is not None:
            raise Answered(f"Nothing was ordered: {order.refusal.message}", code=order.refusal.code)
        if order.id is None:
            answer, found = await (self._image(order) if self._entry.type == "image" else self._video(order))
        else:
            self._tell(order, order.id)
            answer, found = await look(self._connection, self._entry.type, order.id)
        if not self._how.waits:
            result_json(answer.body) if self._how.as_json else result(found.id)
            return
        if found.is_pending:
            self._progress.begin(found.id)
            answer, found = await ended(self._connection, self._entry.type, found.id, self._progress.show)
        self._progress.end(found.id)
        if found.status == "failed":
            raise failure_of(found, answer.body)
        with self._progress.hidden():
            await self._bring_home(number, answer, found)

    async def _bring_home(self, number: int, answer: Answer, found: Generation) -> None:
        how = self._how
        if how.as_json:
            result_json(answer.body)
        if how.target is not None:
            await deliver(
                self._connection,
                found,
                how.target,
                number=number,
                may_rename=True,
                as_json=how.as_json,
                opens=how.opens,
            )

    async def _video(self, order: Order) -> tuple[Answer, Generation]:
        answer = await self._post(order)
        found = read(answer.body, Generation)
        self._tell(order, found.id)
        return answer, found

    async def _image(self, order: Order) -> tuple[Answer, Generation]:
        """An image comes in the answer, and its id with it; so the id is asked for beside it, by the key."""
        post = asyncio.create_task(self._post(order))
        watch = asyncio.create_task(self._watch(order))
        try:
            await asyncio.wait((post, watch), return_when=asyncio.FIRST_COMPLETED)
            if not post.done() and self._how.waits:  # it has ended, so the answer is due
                await asyncio.wait((post,), timeout=_ANSWER_SECONDS)
            if post.done():
                return self._answered(order, await self._result_of(order, post))
            assert order.id is not None
            return await look(self._connection, "image", order.id)
        finally:
            for task in (post, watch):
                task.cancel()
            await asyncio.gather(post, watch, return_exceptions=True)

    async def _result_of(self, order: Order, post: asyncio.Task[Answer]) -> Answer:
        try:
            return await post
        except CommandFailed as error:
            if order.id is None or error.status != UNKNOWN:
                raise
            raise CommandFailed(f"{error} {how_to_go_on(order.id)}", UNKNOWN, body=error.body) from None

    def _answered(self, order: Order, answer: Answer) -> tuple[Answer, Generation]:
        found = read(answer.body, Generation)
        self._tell(order, found.id)
        return answer, found

    async def _post(self, order: Order) -> Answer:
        request = self._entry.request
        if request is None or not self._entry.can_be_sent:
            raise CommandFailed("It is not known what became of this order, and it is too old to be sent once more.")
        try:
            return await self._connection.post(f"/v2/{self._entry.type}s/generations", request.encode(), key=order.key)
        except CommandFailed as error:
            if not (isinstance(error, Unreachable) or error.may_have_arrived):
                raise
            known = how_to_go_on(order.id) if order.id else "'safelight get --last' finds out, and goes on."
            raise CommandFailed(f"{error} What became of the order is not known here. {known}", UNKNOWN) from None

    async def _watch(self, order: Order) -> None:
        """Tell the id as soon as there is one; return when it has ended, or at once if nobody waits for that."""
        pauses = iter(_LOOK_SECONDS)
        while True:
            await asyncio.sleep(next(pauses, _LOOK_LATER_SECONDS))
            with suppress(CommandFailed):  # the order itself fails of the same
                found = await of_key(self._connection, order.key)
                if found is None:
                    continue
                self._tell(order, found.id)
                if not found.is_pending or not self._how.waits:
                    return

    def _tell(self, order: Order, generation_id: str) -> None:
        """The id, on stderr and into the journal, before anything else can go wrong."""
        if order.key in self._told and order.id == generation_id:
            return
        self._told.add(order.key)
        note(f"{generation_id} is ordered.")
        self._journal.note_id(order, generation_id)

    async def _interrupted(self) -> None:
        left = [order for order in self._entry.orders if order.key not in self._over]
        if self._how.cancels and self._entry.type == "video":
            for order in left:
                if order.id is not None:
                    await self._cancel(order.id)
            left = [order for order in left if order.id is None]
        if len(left) == 1 and left[0].id is not None:
            note(f"Stopped waiting; the work goes on. {how_to_go_on(left[0].id)}")
        elif left:
            note("Stopped waiting. 'safelight get --last' finds out what became of it, and goes on.")

    async def _cancel(self, generation_id: str) -> None:
        try:
            answer = await self._connection.delete(f"/v2/videos/generations/{generation_id}")
            became = read(answer.body, Canceled).cancellation
            note(f"{generation_id}: cancellation {became.replace('_', ' ')}.")
        except CommandFailed as error:
            note(f"{generation_id} could not be canceled: {error} {how_to_go_on(generation_id)}")


async def of_key(connection: Connection, key: str) -> Generation | None:
    """The generation that an idempotency key stands for, if any."""
    answer = await connection.get("/v2/generations", idempotency_key=key)
    return next(iter(read(answer.body, Generations).data), None)
