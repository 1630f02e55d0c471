"""The run's one stack: started when first needed, shared between xdist's workers."""

from __future__ import annotations

import contextlib
import json
import secrets
from pathlib import Path

import pytest

from devstack.api import Stack, running_stack
from tests.databases import drop_database
from tests.waiting import wait_until


class RunStack:
    """Starts the stack in the process that lives longest.

    Under xdist that is the controller, which writes where the servers are to a file that the
    workers read; otherwise it is the one process there is.
    """

    def __init__(self, shared_file: Path) -> None:
        self.run_id = secrets.token_hex(4)
        self._shared_file = shared_file
        self._closing = contextlib.ExitStack()
        self._stack: Stack | None = None

    @property
    def template_name(self) -> str:
        """The name of the run's migrated database that others are copied from."""
        return f"test_template_{self.run_id}"

    def get(self) -> Stack:
        """The stack, started now if it was not yet."""
        if self._stack is None:
            self._stack = self._start()
        return self._stack

    def close(self) -> None:
        """End what was started."""
        self._closing.close()

    def _start(self) -> Stack:
        # Throw-away data: without fsync, databases are made and dropped several times quicker.
        stack = self._closing.enter_context(running_stack(fsync=False))
        if stack.postgres is None:  # the developer's own server: leave nothing on it
            self._closing.callback(drop_database, stack, self.template_name)
        partial = self._shared_file.with_suffix(".partial")
        partial.touch(mode=0o600)
        partial.write_text(json.dumps({"run_id": self.run_id, **stack.env}))
        partial.rename(self._shared_file)
        return stack


class WorkersRunStack(RunStack):
    """The same in an xdist worker: reads what the controller wrote."""

    def _start(self) -> Stack:
        wait_until(self._shared_file.exists, 300, "the controlling process starts the servers")
        env = json.loads(self._shared_file.read_text())
        self.run_id = env.pop("run_id")
        return self._closing.enter_context(running_stack(environ=env))


run_stack_key = pytest.StashKey[RunStack]()
