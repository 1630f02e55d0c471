"""What somebody says about what they do."""

from __future__ import annotations

from dashboard_api.schemas.base import Answer
from dashboard_api.schemas.texts import Comment


class CommentBody(Answer):
    """Why somebody does something; the body may be empty."""

    comment: Comment | None = None
