"""Signing a statement: a DSSE envelope, signed with an OpenSSH or PEM key by `cryptography`.

The envelope is that of in-toto (https://github.com/secure-systems-lab/dsse). It carries the public
key, too: so that it can be checked without any other file, and compared with a key that is trusted.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from kerasprov_agent.errors import KerasProvError

PAYLOAD_TYPE = "application/vnd.in-toto+json"


class Signer(NamedTuple):
    """Whose key it was."""

    fingerprint: str
    """As OpenSSH prints it: SHA256:..."""
    public_key: str
    """As OpenSSH writes it."""


def sign(payload: bytes, key_file: str, passphrase: Callable[[], str]) -> str:
    """The envelope of a payload, as JSON; raises `KerasProvError` for a key that can't sign.

    `passphrase` is asked if the key is encrypted. The key itself is stored nowhere.
    """
    key = _private_key(key_file, passphrase)
    signer = _signer(key.public_key())
    signature = {
        "keyid": signer.fingerprint,
        "sig": base64.b64encode(_signature(key, _to_sign(payload))).decode(),
        "publicKey": signer.public_key,
    }
    envelope = {
        "payloadType": PAYLOAD_TYPE,
        "payload": base64.b64encode(payload).decode(),
        "signatures": [signature],
    }
    return json.dumps(envelope, indent=1) + "\n"


def opened(path: str) -> tuple[dict[str, Any], Signer]:
    """The statement in an envelope, and who signed it; raises `KerasProvError` if that is wrong."""
    _library()
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_ssh_public_key

    try:
        envelope = json.loads(Path(path).read_bytes())
        payload = base64.b64decode(envelope["payload"], validate=True)
        (signature,) = envelope["signatures"]
        public = load_ssh_public_key(signature["publicKey"].encode())
        signed = base64.b64decode(signature["sig"], validate=True)
        _check(public, signed, _to_sign(payload, envelope["payloadType"]))
        statement: dict[str, Any] = json.loads(payload)
        if not statement["predicate"]["runDetails"]["byproducts"]:
            raise KeyError("byproducts")
    except InvalidSignature:
        raise KerasProvError(
            f"{path}: the signature is not that of its text; the seal itself was altered"
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError, UnsupportedAlgorithm) as exc:
        raise KerasProvError(f"{path} is no seal that `kerasprov seal` wrote") from exc
    return statement, _signer(public)


def trusted(key_file: str) -> Signer:
    """The public key in a file of OpenSSH or PEM; raises `KerasProvError`."""
    _library()
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization

    content = _content(key_file)
    for load in (serialization.load_ssh_public_key, serialization.load_pem_public_key):
        try:
            return _signer(load(content))
        except (ValueError, UnsupportedAlgorithm):
            continue
    raise KerasProvError(f"{key_file} is no public key of OpenSSH or PEM")


def _private_key(key_file: str, passphrase: Callable[[], str]) -> Any:
    _library()
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization

    content = _content(key_file)
    is_ssh = b"BEGIN OPENSSH PRIVATE KEY" in content
    load = serialization.load_ssh_private_key if is_ssh else serialization.load_pem_private_key
    try:
        try:
            key = load(content, password=None)
        except (TypeError, ValueError) as exc:
            if "password" not in str(exc).lower() and "encrypted" not in str(exc).lower():
                raise
            key = load(content, password=passphrase().encode())
    except (ValueError, TypeError, UnsupportedAlgorithm) as exc:
        told = str(exc).partition("\n")[0].rstrip(".")
        raise KerasProvError(
            f"{key_file} is no private key of OpenSSH or PEM, or the passphrase is wrong ({told})"
        ) from exc
    if not hasattr(key, "sign"):
        raise KerasProvError(f"{key_file} holds a key that can't sign; use ed25519, ECDSA or RSA")
    return key


def _content(key_file: str) -> bytes:
    try:
        return Path(key_file).read_bytes()
    except OSError as exc:
        raise KerasProvError(f"can't read {key_file}: {exc.strerror}") from exc


def _library() -> None:
    try:
        import cryptography  # noqa: F401
    except ImportError as exc:
        raise KerasProvError(
            "seals need cryptography: pip install 'kerasprov_agent[evidence]'"
        ) from exc


def _to_sign(payload: bytes, payload_type: str = PAYLOAD_TYPE) -> bytes:
    """What is signed: DSSE's encoding of the type and the payload before any other."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def _signature(key: Any, content: bytes) -> bytes:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

    if isinstance(key, rsa.RSAPrivateKey):
        signed: bytes = key.sign(content, padding.PKCS1v15(), hashes.SHA256())
    elif isinstance(key, ec.EllipticCurvePrivateKey):
        signed = key.sign(content, ec.ECDSA(hashes.SHA256()))
    else:
        signed = key.sign(content)
    return signed


def _check(public: Any, signed: bytes, content: bytes) -> None:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

    if isinstance(public, rsa.RSAPublicKey):
        public.verify(signed, content, padding.PKCS1v15(), hashes.SHA256())
    elif isinstance(public, ec.EllipticCurvePublicKey):
        public.verify(signed, content, ec.ECDSA(hashes.SHA256()))
    else:
        public.verify(signed, content)


def _signer(public: Any) -> Signer:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    text = public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    digest = hashlib.sha256(base64.b64decode(text.split()[1])).digest()
    return Signer("SHA256:" + base64.b64encode(digest).decode().rstrip("="), text)
