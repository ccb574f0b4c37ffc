"""fal's official client judges the stand-in. It speaks https alone, so it does that in a process of its own."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import json
import os
import ssl
import sys
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.providers.fal.fake import IMAGES, KEY, VIDEOS, FakeFal


def certificate(folder: Path) -> Path:
    """A certificate for 127.0.0.1, with its key in the same file, that signs for itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "certificate.pem"
    path.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return path


async def test_the_stand_in_is_what_the_official_client_expects(tmp_path: Path) -> None:
    path = certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    fake = await FakeFal(tls=context).open()
    host = f"127.0.0.1:{fake.port}"
    environ = {
        **{name: value for name, value in os.environ.items() if not name.startswith("FAL_")},
        "FAL_RUN_HOST": host,
        "FAL_QUEUE_RUN_HOST": host,
        "FAL_KEY": KEY,
        "SSL_CERT_FILE": str(path),
        "NO_PROXY": "127.0.0.1",
    }
    script = Path(__file__).with_name("official.py")
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(script), IMAGES, VIDEOS, env=environ, stdout=asyncio.subprocess.PIPE, stderr=-1
    )
    out, err = await process.communicate()
    await fake.close()
    assert process.returncode == 0, err.decode()[-2000:]
    told = json.loads(out)
    assert told["states"] == ["Queued", "InProgress", "Completed"]
    assert told["metrics"]["inference_time"] == 1.25
    assert told["result"]["images"][0]["content_type"] == "image/png"
    assert told["by_id"]["video"]["content_type"] == "video/mp4", "its own address of a job leads to it"
    assert told["stopped"] == ["Completed", "client_cancelled"]
    assert (told["refused"], told["broke"]) == ([422, None], [403, None])
    assert told["broken"] == [503, "runner_scheduling_failure"]
    assert told["policy"] == [422, None]
    assert told["timeout"] == [504, "request_timeout"]
    assert told["crashed"] == [503, "runner_disconnected"]
    first = fake.posts()[0]
    assert first.query == {"fal_webhook": "https://safelight.example/hook"}
    assert first.headers["authorization"] == f"Key {KEY}"
    assert [first.headers[f"x-fal-{name}"] for name in ("queue-priority", "request-timeout", "no-retry")] == [
        "low",
        "30.0",
        "1",
    ]
    assert not [each for each in fake.asked if each.method == "PUT" and each.body], "a wish to cancel has no body"
