"""AWS KMS across the network: the library of the service (extra ``aws``) behind the one `Call` that we know.

Credentials, regions, signatures and repetition are botocore's, and come from
where every tool of that cloud has them: environment, profile, instance role.

The law of this file: TLS always, and no address out of the environment, which
could send a data key anywhere: the library's data come from its own package
alone, and `trustkit.sealing.awskms_wire` sends to one address only. An answer is
read up to a cap and a deadline, parsed strictly, and given up after few
attempts. What is sent and answered holds keys, so the library's diagnostics are
cut off below warnings, and no message of its own or of the service leaves this
file.
"""

from __future__ import annotations

import functools
import logging
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import TYPE_CHECKING

from trustkit.errors import FormatError, LimitError, UnavailableError, UsageError, extra_needed
from trustkit.sealing.awskms import KmsKey, refusal

if TYPE_CHECKING:
    from botocore.client import BaseClient
    from botocore.credentials import Credentials, ReadOnlyCredentials
    from botocore.session import Session

CONNECT_SECONDS = 5
"""Longest wait for a connection."""
SILENT_SECONDS = 10
"""Longest wait for the next byte."""
ANSWER_SECONDS = 20
"""Longest that one attempt may take, from the search for the address to the last byte of the answer."""
ATTEMPTS = 3
"""How often is asked in all, with growing pauses, where no answer came and nobody says otherwise."""

_TALKATIVE = frozenset(("botocore", "urllib3"))
_DEEPEST_CAUSE = 8
_UNTRUSTED = "CERTIFICATE_VERIFY_FAILED"
_KINDS_OF_HOST = ("use_fips_endpoint", "use_dualstack_endpoint")
_NO_ANSWER = (FormatError, LimitError, ValueError, TypeError, AttributeError, OverflowError, RuntimeError)
_NO_SETTINGS = (ValueError, TypeError, AttributeError, LookupError, RuntimeError, OSError)
# What the library raises of its own accord where it does not look first.


class KmsClient:
    """One key at AWS KMS; connected to when it is first asked. Safe to use from several threads.

    Args:
        key: The key, whose region and endpoint are asked.
        monotonic: A monotonic clock (seconds).
        attempts: How often is asked in all, where no answer came; `ATTEMPTS` where it is not said.
        seconds: Longest that one attempt may take, and before it what finds credentials. Where it is not
            said, `ANSWER_SECONDS`, and no limit for credentials: a person may be asked for them.
    """

    def __init__(
        self,
        key: KmsKey,
        *,
        monotonic: Callable[[], float],
        attempts: int | None = None,
        seconds: float | None = None,
    ) -> None:
        self._key = key
        self._monotonic = monotonic
        self._attempts = attempts
        self._seconds = seconds
        self._lock = threading.Lock()
        self._coming_lock = threading.Lock()
        self._coming: Future[BaseClient] | None = None
        self._session: Session | None = None
        self._credentials: Credentials | None = None
        self._frozen: ReadOnlyCredentials | None = None
        self._client: BaseClient | None = None

    def __call__(self, operation: str, parameters: Mapping[str, object]) -> Mapping[str, object]:
        """Ask for one operation and return its answer, untrusted.

        Raises:
            UsageError: ``extra-needed``, ``no-credentials``, ``wrong-kms-address``, or as
                `trustkit.sealing.awskms.refusal`.
            UnavailableError: ``kms-unavailable`` or ``bad-kms-answer``.
            DeniedError, SealError: As `trustkit.sealing.awskms.refusal`.
        """
        demand_library()
        from botocore import exceptions
        from botocore.parsers import ResponseParserError

        try:
            answer: Mapping[str, object] = getattr(self._in_time(), operation)(**parameters)
        except exceptions.ClientError as error:
            raise refusal(str(error.response["Error"]["Code"]), self._key) from None
        except (exceptions.HTTPClientError, exceptions.ConnectionError) as error:
            raise self._unavailable(_cause(error)) from None
        except (*_NO_ANSWER, ResponseParserError):
            why = "AWS KMS answered with something that is no answer; nothing of it was used"
            raise UnavailableError("bad-kms-answer", why, key=self._key.arn) from None
        except exceptions.BotoCoreError as error:
            raise self._unusable(error) from None
        return answer

    def _unavailable(self, reason: str) -> UnavailableError:
        advice = "name its authority with AWS_CA_BUNDLE" if reason == _UNTRUSTED else "try again"
        why = f"AWS KMS did not answer ({reason}); {advice}"
        return UnavailableError("kms-unavailable", why, key=self._key.arn, reason=reason)

    def _unusable(self, error: Exception) -> UsageError:
        why = (
            f"the credentials or settings for AWS cannot be used ({type(error).__name__}); "
            "see that `aws sts get-caller-identity` works here"
        )
        return UsageError("no-credentials", why, key=self._key.arn)

    def _in_time(self) -> BaseClient:
        """Let one thread have credentials, whoever waits: a process or service that has them may be slow."""
        if self._seconds is None:
            return self._connected()
        with self._coming_lock:
            coming: Future[BaseClient] = self._coming or Future()
            if self._coming is None:
                threading.Thread(
                    target=self._come, args=(coming,), name="trustkit-awskms-login", daemon=True
                ).start()
                self._coming = coming
        try:
            return coming.result(self._seconds)
        except TimeoutError:
            why = "there were no credentials for AWS KMS in time; try again"
            raise UnavailableError("kms-unavailable", why, key=self._key.arn, reason="credentials") from None

    def _come(self, coming: Future[BaseClient]) -> None:
        try:
            tell = functools.partial(coming.set_result, self._connected())
        except BaseException as error:  # noqa: BLE001 - it is raised in the threads that wait
            tell = functools.partial(coming.set_exception, error)
        with self._coming_lock:
            self._coming = None
        tell()

    def _connected(self) -> BaseClient:
        """Connect where nobody did, and have credentials: what is wrong with either is wrong on this side."""
        with self._lock:
            try:
                if self._credentials is None:
                    session = self._opened()
                    self._credentials, self._session = session.get_credentials(), session
                frozen = self._credentials and self._credentials.get_frozen_credentials()
                if self._client is None or frozen != self._frozen:
                    self._client, self._frozen = self._connect(self._session, frozen), frozen
            except _NO_SETTINGS as error:
                raise self._unusable(error) from None
            return self._client

    def _connect(self, session: Session, frozen: ReadOnlyCredentials | None) -> BaseClient:
        """Return a client with these very credentials: the library would renew others while it signs."""
        from botocore.config import Config
        from botocore.utils import get_environ_proxies

        from trustkit.sealing.awskms_wire import Wire

        key = self._key
        client = session.create_client(
            "kms",
            region_name=key.region,
            endpoint_url=f"https://{key.host}",
            aws_access_key_id=frozen and frozen.access_key,
            aws_secret_access_key=frozen and frozen.secret_key,
            aws_session_token=frozen and frozen.token,
            config=Config(
                ignore_configured_endpoint_urls=True,
                use_fips_endpoint=False,
                use_dualstack_endpoint=False,
                retries={"mode": "standard", "total_max_attempts": self._attempts or ATTEMPTS},
            ),
        )
        wire = Wire(
            host=key.host,
            verify=session.get_config_variable("ca_bundle") or True,
            proxies=get_environ_proxies(client.meta.endpoint_url),
            connect_seconds=CONNECT_SECONDS,
            silent_seconds=SILENT_SECONDS,
            seconds=self._seconds or ANSWER_SECONDS,
            monotonic=self._monotonic,
        )
        _silence()
        client.meta.events.register("before-send.kms", wire)
        return client

    def _opened(self) -> Session:
        """Return a session whose data are those of the library's own package, and whose hosts are ours."""
        from botocore.loaders import Loader
        from botocore.session import Session

        session = Session()
        loader = Loader(extra_search_paths=[Loader.BUILTIN_DATA_PATH], include_default_search_paths=False)
        session.register_component("data_loader", loader)
        if self._key.endpoint is None and any(map(session.get_config_variable, _KINDS_OF_HOST)):
            raise UsageError(
                "wrong-kms-address",
                "settings of this machine ask for a FIPS or dual-stack host of AWS KMS, which the key does "
                "not name; name that host in it (awskms://HOST/ARN), or take the setting away",
            )
        return session

    def __repr__(self) -> str:
        return f"<KmsClient {self._key.arn}>"


def demand_library() -> None:
    """Go on only where the library of the service is installed.

    Raises:
        UsageError: ``extra-needed``.
    """
    try:
        import botocore.parsers  # noqa: F401 - the last of the parts that are needed
    except ModuleNotFoundError as error:
        raise extra_needed("a key in AWS KMS", error.name, "aws") from None


def _cause(error: Exception) -> str:
    """Return the constant of OpenSSL where TLS failed, or else the error's name: both are public words."""
    cause: object = error
    for _ in range(_DEEPEST_CAUSE):
        if not isinstance(cause, Exception):
            break
        reason = getattr(cause, "reason", None) if getattr(cause, "library", "") == "SSL" else None
        if reason:
            return str(reason)
        cause = getattr(cause, "kwargs", {}).get("error") or next(iter(cause.args), None)
    return type(error).__name__


def _silence() -> None:
    """Cut off what the library would say of requests and answers, whoever turned it on: they hold keys."""
    for name in tuple(logging.root.manager.loggerDict):
        if name.partition(".")[0] in _TALKATIVE:
            logging.getLogger(name).addFilter(_only_warnings)


def _only_warnings(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.WARNING
