"""What the embedded stack says when it cannot work here."""

ALTERNATIVES = """\
What works instead:
  - your own servers: set KAFKA_BOOTSTRAP_SERVERS and DB_HOST (with DB_PORT, DB_NAME, DB_USER,
    DB_PASSWORD) in the environment; the same commands then use those
  - the containers: docker-compose -f docker-compose-phase4.yml up -d"""


class DevstackError(Exception):
    """The stack cannot be fetched or started; the message is for the person at the terminal."""


class NotHereError(DevstackError):
    """This machine cannot carry the embedded stack; the message names the alternatives."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"{reason}\n{ALTERNATIVES}")
