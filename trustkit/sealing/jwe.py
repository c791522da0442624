"""A file as KServe's confidential serving has it: one JWE in compact form, opened front to back.

    BASE64URL(header) . BASE64URL(encrypted key) . BASE64URL(IV) . BASE64URL(ciphertext) . BASE64URL(tag)

    header = {"alg":"A256KW","enc":"A256GCM"}      AAD = the first part, as it stands
    the key of the content is random (32 bytes), wrapped by AES key wrap (RFC 3394) under the shared one

RFC 7516 and 7518; no padding, no white space. Written for those who read it; it
binds nothing to its place, signs nothing, and commits to no key.

The law of this file: its one tag comes last, so nothing that was opened is
authenticated before `JweOpener.finish`. Callers keep it to themselves until
then, and hold it against an author's digests, which is what counts.
"""

from __future__ import annotations

import base64
import binascii
import re

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap

from trustkit import strictjson
from trustkit.errors import FormatError, LimitError, SealError
from trustkit.sealing.floe import Entropy

KEY_LENGTH = 32
CHUNK = 3 << 18
"""Bytes of plaintext that are sealed at once; all but the last chunk must be a multiple of three."""
TEXT_CHUNK = CHUNK // 3 * 4
"""The same as text."""
MAX_PLAINTEXT = (1 << 36) - 32
"""Most that AES-GCM encrypts under one nonce (bytes)."""
MAX_HEAD = 4096
"""Longest text before the ciphertext (bytes)."""
TAIL = 23
"""The text behind the ciphertext: a dot and the tag (bytes)."""
MAX_KEY_FILE = 4096
"""Largest file of a shared key (bytes)."""

_HEADER = b'{"alg":"A256KW","enc":"A256GCM"}'
_IV_LENGTH, _TAG_LENGTH, _WRAPPED_LENGTH = 12, 16, 40
_HEAD = re.compile(rb"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.")
_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_STANDARD = bytes.maketrans(b"-_", b"+/")
_TEXT_KEY = re.compile(rb"[A-Za-z0-9_-]{43}")
_DESCRIBING = ("kid", "typ", "cty")
_JWK_DESCRIBING = ("kid", "alg", "use")


class JweKey:
    """The key that a writer and KServe share.

    Raises:
        FormatError: ``bad-jwk`` for another length than 32 bytes.
    """

    def __init__(self, material: bytes) -> None:
        if len(material) != KEY_LENGTH:
            raise FormatError("bad-jwk", f"the shared key has {len(material)} bytes, and A256KW takes 32")
        self._material = material

    def wrap(self, content_key: bytes) -> bytes:
        """Wrap the key of one file."""
        return aes_key_wrap(self._material, content_key)

    def unwrap(self, untrusted: bytes) -> bytes:
        """Unwrap the key of one file.

        Raises:
            SealError: ``wrong-context``: wrapped by another key, or altered.
        """
        try:
            return aes_key_unwrap(self._material, untrusted)
        except InvalidUnwrap:
            raise SealError(
                "wrong-context",
                "the shared key is another one than it was sealed with, or the file was altered",
            ) from None

    def __repr__(self) -> str:
        return "<JweKey>"


def parse_jwe_key(raw: bytes) -> JweKey:
    """Read a shared key as KServe does: a JWK, its ``k`` alone as text, or 32 raw bytes.

    Raises:
        FormatError: ``bad-jwk``, or what is wrong with the JSON.
    """
    text = raw.strip()
    if text.startswith(b"{"):
        return _from_jwk(text)
    if _TEXT_KEY.fullmatch(text):
        return JweKey(_decoded(text, "key"))
    if len(raw) != KEY_LENGTH or _is_utf8(raw):  # raw bytes that are text would be read as text
        raise FormatError(
            "bad-jwk", "the shared key is a JWK of type oct, its member k alone, or 32 bytes that are no text"
        )
    return JweKey(raw)


class JweSealer:
    """Seals one file.

    Args:
        key: The shared key.
        entropy: Where key and IV come from; never from the caller.
    """

    def __init__(self, key: JweKey, *, entropy: Entropy) -> None:
        content_key, iv, header = entropy(KEY_LENGTH), entropy(_IV_LENGTH), _encoded(_HEADER)
        self.head = b".".join((header, _encoded(key.wrap(content_key)), _encoded(iv), b""))
        self._cipher = Cipher(algorithms.AES256(content_key), modes.GCM(iv)).encryptor()
        self._cipher.authenticate_additional_data(header)

    def seal(self, chunk: memoryview) -> bytes:
        """Return the text of the next chunk, of `CHUNK` bytes unless it is the last."""
        return _encoded(self._cipher.update(chunk))

    def finish(self) -> bytes:
        """Return the text that ends the file."""
        self._cipher.finalize()
        return b"." + _encoded(self._cipher.tag)


class JweOpener:
    """Opens one file whose head was read; what it gives out is not authenticated before `finish`.

    Args:
        key: The shared key.
        untrusted_start: The beginning of the file, `MAX_HEAD` bytes or all of it.

    Attributes:
        head: Length of the text before the ciphertext (bytes).

    Raises:
        SealError: ``not-encrypted`` for what is no JWE; ``wrong-context``.
        FormatError: ``unknown-suite`` for another way of sealing, or what is wrong with the header.
    """

    def __init__(self, key: JweKey, untrusted_start: bytes) -> None:
        found = _HEAD.match(untrusted_start, 0, MAX_HEAD)
        if found is None:
            raise SealError("not-encrypted", "this is no JWE, and what is not sealed is not opened")
        self.head = found.end()
        _check_header(_decoded(found[1], "header"))
        wrapped, iv = _decoded(found[2], "encrypted key"), _decoded(found[3], "IV")
        if (len(wrapped), len(iv)) != (_WRAPPED_LENGTH, _IV_LENGTH):
            raise FormatError("bad-jwe", "the encrypted key or the IV of a JWE has a wrong length")
        self._cipher = Cipher(algorithms.AES256(key.unwrap(wrapped)), modes.GCM(iv)).decryptor()
        self._cipher.authenticate_additional_data(found[1])

    def open(self, untrusted_text: bytes) -> bytes:
        """Return the plaintext of the next text, `TEXT_CHUNK` bytes unless it is the last; unauthenticated.

        Raises:
            FormatError: ``bad-base64``.
        """
        return self._cipher.update(_decoded(untrusted_text, "ciphertext"))

    def finish(self, untrusted_tail: bytes) -> None:
        """Hold all that was opened against the tag.

        Raises:
            SealError: ``tampered``.
            FormatError: ``bad-jwe`` or ``bad-base64``.
        """
        if len(untrusted_tail) != TAIL or not untrusted_tail.startswith(b"."):
            raise FormatError("bad-jwe", "a JWE ends in a dot and a tag of 22 characters, and nothing else")
        try:
            self._cipher.finalize_with_tag(_decoded(untrusted_tail[1:], "tag"))
        except InvalidTag:
            raise SealError("tampered", "the file is not what was sealed; fetch it again") from None


def plaintext_length(text_length: int) -> int:
    """Return how many bytes so much text of ciphertext stands for.

    Raises:
        FormatError: ``bad-jwe``: no number of bytes has such a text.
        LimitError: ``too-large``.
    """
    if text_length < 0 or text_length % 4 == 1:
        raise FormatError("bad-jwe", "the ciphertext of a JWE has a length that nothing has")
    length = text_length * 3 // 4
    check_length(length)
    return length


def check_length(length: int) -> None:
    """Refuse a file that one JWE cannot hold.

    Raises:
        LimitError: ``too-large``.
    """
    if length > MAX_PLAINTEXT:
        raise LimitError("too-large", f"one JWE holds {MAX_PLAINTEXT} bytes at most", limit=MAX_PLAINTEXT)


def _from_jwk(text: bytes) -> JweKey:
    fields = strictjson.Fields(strictjson.parse(text, max_bytes=MAX_KEY_FILE, what="JWK", max_depth=2), "JWK")
    kind, key = fields.take("kty", str), fields.take("k", str)
    told = {name: fields.maybe(name, str) for name in _JWK_DESCRIBING}
    fields.maybe("key_ops", list)
    fields.done()
    if kind != "oct" or told["alg"] not in (None, "A256KW") or told["use"] not in (None, "enc"):
        raise FormatError("bad-jwk", "the JWK must be of type oct, for encryption with A256KW")
    return JweKey(_decoded(key.encode("ascii", "replace"), "JWK"))


def _check_header(raw: bytes) -> None:
    fields = strictjson.Fields(
        strictjson.parse(raw, max_bytes=MAX_HEAD, what="header of a JWE", max_depth=2), "header of a JWE"
    )
    suite = fields.take("alg", str), fields.take("enc", str)
    for name in _DESCRIBING:
        fields.maybe(name, str)
    fields.done()  # zip, crit, and whatever else would have to be obeyed
    if suite != ("A256KW", "A256GCM"):
        raise FormatError("unknown-suite", "a JWE is opened if it is sealed with A256KW and A256GCM")


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _encoded(raw: bytes) -> bytes:
    return base64.urlsafe_b64encode(raw).rstrip(b"=")


def _decoded(untrusted: bytes, what: str) -> bytes:
    """Decode base64url without padding; the last group must be spelled as it is written."""
    error = FormatError("bad-base64", f"the {what} of a JWE is not canonical base64url without padding")
    if untrusted.translate(None, _ALPHABET):
        raise error
    padded = untrusted.translate(_STANDARD) + b"=" * (-len(untrusted) % 4)
    try:
        raw = binascii.a2b_base64(padded, strict_mode=True)
    except binascii.Error:
        raise error from None
    rest = len(raw) % 3
    if rest and not untrusted.endswith(_encoded(raw[-rest:])):
        raise error
    return raw
