"""What a process shows its own ports as a client: a certificate of this process alone, never on disk.

A port may ask for clients of an authority that has not signed the port's own certificate, or whose signature does not
make it a client's. Whether it answers is asked all the same.
"""

from __future__ import annotations

import datetime as dt
import functools
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

__all__ = ["OwnClient", "own_client"]

# Whatever this machine's clock says: it ends with the process.
_FROM, _UNTIL = dt.datetime(2000, 1, 1), dt.datetime(2200, 1, 1)  # X.509 takes them as UTC


@dataclass(frozen=True, slots=True)
class OwnClient:
    """PEM. A port that takes `certificate` for an authority lets in who has `key`, and nobody else by it."""

    certificate: bytes
    key: bytes = field(repr=False)


@functools.cache
def own_client() -> OwnClient:
    """The one of this process."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "isthmus itself")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), _FROM, _UNTIL)
    # It signs no others.
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    encoding, no_password = serialization.Encoding.PEM, serialization.NoEncryption()
    return OwnClient(
        builder.sign(key, hashes.SHA256()).public_bytes(encoding),
        key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, no_password),
    )
