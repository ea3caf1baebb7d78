"""Who the box is to its source system: asked for once with a pairing code, then kept owner-only."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from pydantic import ValidationError

from agent.errors import AgentError, Retry
from agent.model.text import Language
from agent.source.errors import SourceRefusedError
from agent.source.http import Account, HttpLink, HttpTimes
from agent.wire.base import Document
from agent.wire.device_api import ENROL, BrokerAddress, EnrolAnswer, EnrolRequest, Place
from agent.wire.errors import WireError, explain

logger = logging.getLogger(__name__)

FILE_NAME = "identity.json"
MAX_FILE_BYTES = 512 * 1024


class IdentityError(AgentError):
    """The identity file cannot be used; pairing again makes a new one."""

    retry = Retry.NEVER

    def __init__(self, path: Path, problem: str) -> None:
        self.path = path
        self.problem = problem
        super().__init__(f"{path}: {problem}; pair the box again (loa enrol) or restore the file")


class Identity(Document):
    """The enrolment answer with the address it came from.

    Attributes:
        url: base address of the source system, e.g. `https://nguon.example.vn`.
    """

    url: str
    enrolled: EnrolAnswer

    @property
    def device(self) -> str:
        """Device id, also MQTT client id and user name."""
        return self.enrolled.device

    @property
    def broker(self) -> BrokerAddress:
        """Where the MQTT broker listens."""
        return self.enrolled.broker

    @property
    def place(self) -> Place:
        """Where the box stands in the tree of authorities, as known at enrolment."""
        return self.enrolled.place

    @property
    def root(self) -> str:
        """The trust root handed over at enrolment: a DSSE envelope in JSON text."""
        return self.enrolled.root

    def account(self, url: str = "") -> Account:
        """Credentials for HTTP; a configured `url` goes before the one the box was enrolled at."""
        return Account((url or self.url).rstrip("/"), self.device, self.enrolled.secret)


def load_identity(path: Path) -> Identity | None:
    """Read the identity, None if the box was never enrolled.

    Raises:
        IdentityError: the file is there but cannot be used.
    """
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_mode & 0o077:
                logger.warning("%s could be read by others; closed to its owner", path)
                os.fchmod(file.fileno(), 0o600)
            data = file.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise IdentityError(path, f"cannot be read: {error.strerror}") from error
    if len(data) > MAX_FILE_BYTES:
        raise IdentityError(path, f"longer than {MAX_FILE_BYTES} bytes")
    try:
        return Identity.read(data)
    except WireError as error:
        # Never the value: a line of the file may be the secret.
        raise IdentityError(path, f"damaged at {error.field}") from None


def save_identity(path: Path, identity: Identity) -> None:
    """Replace the identity as a whole, so that a power cut leaves the old or the new one.

    Raises:
        IdentityError: it could not be written.
    """
    fresh = path.with_name(f".{path.name}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh.unlink(missing_ok=True)
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(identity.encode())
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise IdentityError(path, f"cannot be written: {error.strerror}") from error


async def enrol(
    url: str,
    code: str,
    name: str = "",
    *,
    hardware: str = "",
    version: str = "",
    language: Language = "vi",
    times: HttpTimes | None = None,
) -> EnrolAnswer:
    """Ask the source system at `url` to take the box in with the code an officer gave out.

    Raises:
        LinkRefusedError: wrong, used or expired code, in the server's words in `language`.
        LinkDownError: nobody answered, or it was not a source system.
    """
    try:
        request = EnrolRequest(code=code.strip(), name=name, hardware=hardware, version=version)
    except ValidationError as error:
        raise SourceRefusedError("request", explain(error, 1)[0]) from None
    link = HttpLink(Account(url.rstrip("/"), language=language), times=times or HttpTimes(exchange_s=30.0))
    try:
        return await link.post(ENROL, request, EnrolAnswer)
    finally:
        await link.close()
