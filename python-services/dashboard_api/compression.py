"""gzip of answers, for those who take it: nginx passes on what is compressed already."""

from __future__ import annotations

import gzip

from flask import Response, request

WORTH_IT_BYTES = 1400
"""Shorter bodies fit into one packet as they are."""
_QUICK = 1


def compressed(answer: Response) -> Response:
    """`answer`, its body compressed quickly if the current request takes that and it is long enough."""
    answer.vary.add("Accept-Encoding")
    body = answer.get_data()
    if len(body) >= WORTH_IT_BYTES and takes_gzip():
        answer.set_data(gzip.compress(body, _QUICK, mtime=0))
        answer.content_encoding = "gzip"
    return answer


def takes_gzip() -> bool:
    """Whether the current request takes gzip."""
    return request.accept_encodings.quality("gzip") > 0 and "Accept-Encoding" in request.headers
