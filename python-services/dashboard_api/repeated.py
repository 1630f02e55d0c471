"""What is asked for again and again is looked up about once a second for all who ask.

A question that comes now and then is answered from the database. One that has come several times within a second, to
any worker of the replica, is answered with what was looked up for it at most a second ago; while it keeps coming, that
is looked up again before it is too old. Every such answer says in `X-As-Of` when it was looked up.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable
from functools import wraps
from typing import Any, Final

import msgspec
from flask import Flask, Response, current_app, request
from werkzeug.test import create_environ

from dashboard_api.renewing import Renewing
from dashboard_api.responses import NEXT_CURSOR, wants_csv
from dashboard_api.shared_newest import AGAIN_S, OLDEST_S, SharedNewest

AS_OF: Final = "X-As-Of"
EXTENSION: Final = "stacklens_repeated"
OFTEN_WITHIN_S: Final = 1.0
"""A question that comes for the fifth time within so long is asked again and again."""
PLACES: Final = 16
MOST_BYTES: Final = 2 * 1024 * 1024

View = Callable[[], Response]


class KeptAnswer(msgspec.Struct, frozen=True, array_like=True):
    """An answer, and to what."""

    question: str
    content_type: str
    headers: dict[str, str]
    body: bytes


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(KeptAnswer)


class Repeated:
    """The answers to what was asked often of late. Create it before the workers are forked.

    `as_of` gives the time of day for the header; `clock` counts alike in all workers.
    """

    def __init__(
        self,
        renewing: Renewing,
        as_of: Callable[[], str],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._renewing = renewing
        self._as_of = as_of
        self.clock = clock
        self._places = [SharedNewest(MOST_BYTES, clock) for _ in range(PLACES)]

    def answer(self, view: View) -> Response:
        """What `view` answers to the current request, or has answered to the very same at most a second ago."""
        query = request.query_string.decode("latin-1")
        question = f"{view.__module__}.{view.__name__}?{query} csv={wants_csv()}"
        owner = zlib.crc32(question.encode())
        place = self._place_of(owner)
        if place is None:
            return self.look(view)
        response = _kept(question, place, self.clock()) or self.look(view, question, place)
        if not self._renewing.wants(question):
            self._renewing.want(question, _Look(self, question, owner, place, view))
        return response

    def _place_of(self, owner: int) -> SharedNewest | None:
        """Where the answer to a question is kept that is asked often; None: it is not, or all its places are taken."""
        for number in (owner, owner >> 8, owner >> 16):
            place = self._places[number % PLACES]
            ago_s = place.ask(owner)
            if ago_s is not None:
                return place if ago_s <= OFTEN_WITHIN_S else None
        return None

    def look(self, view: View, question: str = "", place: SharedNewest | None = None) -> Response:
        """Have the current request answered by `view`; its answer is kept in `place`."""
        began_s, as_of = self.clock(), self._as_of()
        response = view()
        response.headers[AS_OF] = as_of
        if place is not None:
            place.write(began_s, _encoder.encode(_answer(question, response)))
        return response


class _Look:
    """A question that is asked for all the time; it is asked once more in a request of its own."""

    def __init__(
        self, repeated: Repeated, question: str, owner: int, place: SharedNewest, view: View
    ) -> None:
        self._repeated = repeated
        self._question = question
        self._owner = owner
        self._place = place
        self._view = view
        self._app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
        self._environ: dict[str, Any] = create_environ(
            request.path,
            query_string=request.query_string.decode("latin-1"),
            headers={"Accept": request.headers.get("Accept", "*/*")},
        )

    def due_in_s(self) -> float:
        """Seconds until it should be looked up again."""
        return self._place.at_s() + AGAIN_S - self._repeated.clock()

    def renew(self) -> bool:
        """Look again unless another worker does; whether it is still asked for."""
        if not self._place.is_asked_for(self._owner):
            return False
        if self._place.claim():
            try:
                with self._app.request_context(self._environ):
                    self._repeated.look(self._view, self._question, self._place)
            finally:
                self._place.give_back()
        return True


def once_a_second(view: View) -> View:
    """Have a view, one that answers alike to everybody, keep what it is asked for again and again."""

    @wraps(view)
    def answer() -> Response:
        repeated = current_app.extensions[EXTENSION]
        assert isinstance(repeated, Repeated)
        return repeated.answer(view)

    return answer


def _answer(question: str, response: Response) -> KeptAnswer:
    headers = {
        name: response.headers[name]
        for name in (AS_OF, "Vary", NEXT_CURSOR)
        if name in response.headers
    }
    return KeptAnswer(question, response.content_type or "", headers, response.get_data())


def _kept(question: str, place: SharedNewest, now_s: float) -> Response | None:
    """What was looked up for the question, if it is there and not too old."""
    read = place.read() if now_s - place.at_s() <= OLDEST_S else None
    kept = None if read is None else _decoder.decode(read[1])
    if read is None or kept is None or kept.question != question or now_s - read[0] > OLDEST_S:
        return None
    return Response(kept.body, content_type=kept.content_type, headers=kept.headers)
