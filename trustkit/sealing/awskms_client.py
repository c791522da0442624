"""AWS KMS across the network: the library of the service (extra ``aws``) behind the one `Call` that we know.

Credentials, regions, signatures and repetition are botocore's, and come from
where every tool of that cloud has them: environment, profile, instance role.

The law of this file: TLS always, and no address out of the environment, which
could send a data key anywhere. An answer is read up to a cap and a deadline,
parsed strictly, and given up after few attempts. What is sent and answered
holds keys, so the library's diagnostics are cut off below warnings, and no
message of its own or of the service leaves this file.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from trustkit import strictjson
from trustkit.errors import FormatError, LimitError, UnavailableError, UsageError
from trustkit.sealing.awskms import KmsKey, refusal

if TYPE_CHECKING:
    from botocore.awsrequest import AWSPreparedRequest, AWSResponse
    from botocore.client import BaseClient
    from botocore.httpsession import URLLib3Session

MAX_ANSWER_BYTES = 64 * 1024
"""Largest answer that is read (bytes); that of a wrapped key has less than one KiB."""
CONNECT_SECONDS = 5
"""Longest wait for a connection."""
SILENT_SECONDS = 10
"""Longest wait for the next byte."""
BODY_SECONDS = 20
"""Longest that a body may take, from the request on."""
ATTEMPTS = 3
"""How often is asked in all, with growing pauses, where no answer came."""

_DEPTH = 8
_OK = 200
_TALKATIVE = frozenset(("botocore", "urllib3"))


class KmsClient:
    """One key at AWS KMS; connected to when it is first asked. Safe to use from several threads.

    Args:
        key: The key, whose region and endpoint are asked.
        monotonic: A monotonic clock (seconds).
    """

    def __init__(self, key: KmsKey, *, monotonic: Callable[[], float]) -> None:
        self._key = key
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._client: BaseClient | None = None

    def __call__(self, operation: str, parameters: Mapping[str, object]) -> Mapping[str, object]:
        """Ask for one operation and return its answer, untrusted.

        Raises:
            UsageError: ``extra-needed``, ``no-credentials``, or as `trustkit.sealing.awskms.refusal`.
            UnavailableError: ``kms-unavailable`` or ``bad-kms-answer``.
            DeniedError, SealError: As `trustkit.sealing.awskms.refusal`.
        """
        try:
            from botocore import exceptions
            from botocore.parsers import ResponseParserError
        except ModuleNotFoundError as error:
            why = f"a key in AWS KMS needs {error.name}; install model-trustkit[aws]"
            raise UsageError("extra-needed", why, module=error.name) from None
        try:
            answer: Mapping[str, object] = getattr(self._connected(), operation)(**parameters)
        except exceptions.ClientError as error:
            raise refusal(str(error.response["Error"]["Code"]), self._key) from None
        except (exceptions.HTTPClientError, exceptions.ConnectionError) as error:
            raise self._unavailable(type(error).__name__) from None
        except (FormatError, LimitError, ResponseParserError, ValueError, TypeError, AttributeError):
            why = "AWS KMS answered with something that is no answer; nothing of it was used"
            raise UnavailableError("bad-kms-answer", why, key=self._key.arn) from None
        except exceptions.BotoCoreError as error:
            why = (
                f"the credentials or settings for AWS cannot be used ({type(error).__name__}); "
                "see that `aws sts get-caller-identity` works here"
            )
            raise UsageError("no-credentials", why, key=self._key.arn) from None
        return answer

    def _unavailable(self, reason: str) -> UnavailableError:
        why = f"AWS KMS did not answer ({reason}); try again"
        return UnavailableError("kms-unavailable", why, key=self._key.arn, reason=reason)

    def _connected(self) -> BaseClient:
        with self._lock:
            if self._client is None:
                self._client = self._connect()
            return self._client

    def _connect(self) -> BaseClient:
        from botocore.config import Config
        from botocore.httpsession import URLLib3Session
        from botocore.session import Session
        from botocore.utils import get_environ_proxies

        session, key = Session(), self._key
        client = session.create_client(
            "kms",
            region_name=key.region,
            endpoint_url=None if key.endpoint is None else f"https://{key.endpoint}",
            config=Config(
                ignore_configured_endpoint_urls=True,
                retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
            ),
        )
        http = URLLib3Session(
            verify=session.get_config_variable("ca_bundle") or True,
            proxies=get_environ_proxies(client.meta.endpoint_url),
            timeout=(CONNECT_SECONDS, SILENT_SECONDS),
        )
        _silence()
        client.meta.events.register("before-send.kms", _Reader(http, self._monotonic))
        return client

    def __repr__(self) -> str:
        return f"<KmsClient {self._key.arn}>"


class _Reader:
    """Sends in the library's place, which would read whatever comes."""

    def __init__(self, http: URLLib3Session, monotonic: Callable[[], float]) -> None:
        self._http = http
        self._monotonic = monotonic

    def __call__(self, request: AWSPreparedRequest, **_: object) -> AWSResponse:
        from botocore.awsrequest import AWSResponse

        deadline = self._monotonic() + BODY_SECONDS
        request.stream_output = True
        response = self._http.send(request)
        body = self._body(response, deadline)
        if response.status_code == _OK:
            _parse(body)
        else:
            body = _harmless(body)
        return AWSResponse(response.url, response.status_code, response.headers, _Read(body))

    def _body(self, response: AWSResponse, deadline: float) -> bytes:
        """Read byte by byte, which costs little for so few: so what drips meets the deadline."""
        from botocore.exceptions import ReadTimeoutError
        from urllib3.exceptions import HTTPError

        body = bytearray()
        try:
            while byte := response.raw.read(1):
                body += byte
                if len(body) > MAX_ANSWER_BYTES:
                    raise LimitError("too-large", "the answer is too large", limit=MAX_ANSWER_BYTES)
                if self._monotonic() >= deadline:
                    raise ReadTimeoutError(endpoint_url=response.url)
        except (HTTPError, OSError):
            raise ReadTimeoutError(endpoint_url=response.url) from None
        finally:
            response.raw.close()
        return bytes(body)


class _Read:
    """A body that was read, as the library takes one."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self) -> Iterator[bytes]:
        yield self._body


def _parse(untrusted: bytes) -> None:
    strictjson.parse_object(untrusted, max_bytes=MAX_ANSWER_BYTES, what="answer of AWS KMS", max_depth=_DEPTH)


def _harmless(untrusted: bytes) -> bytes:
    """Return the body of an error, or nothing where it is none of the service's: a page of a proxy."""
    try:
        _parse(untrusted)
    except (FormatError, LimitError):
        return b""
    return untrusted


def _silence() -> None:
    """Cut off what the library would say of requests and answers, whoever turned it on: they hold keys."""
    for name in tuple(logging.root.manager.loggerDict):
        if name.partition(".")[0] in _TALKATIVE:
            logging.getLogger(name).addFilter(_only_warnings)


def _only_warnings(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.WARNING
