"""The connection to the mail server: with TLS and a login where SMTP_URL names them."""

from __future__ import annotations

import smtplib
import ssl
from urllib.parse import unquote, urlsplit

from .settings import SMTP_SCHEMES, Settings

SMTP_SECONDS = 10
PLAIN = "disable_starttls=true"


def connect(settings: Settings) -> smtplib.SMTP:
    """Return an open connection. Raises what smtplib raises; a login never goes over a connection without TLS."""
    if not settings.smtp_url:
        return smtplib.SMTP(settings.smtp_host, settings.smtp_port, timeout=SMTP_SECONDS)
    parts = urlsplit(settings.smtp_url)
    host, port = str(parts.hostname), parts.port or SMTP_SCHEMES[parts.scheme]
    trust = ssl.create_default_context()
    if parts.scheme == "smtps":
        server: smtplib.SMTP = smtplib.SMTP_SSL(host, port, timeout=SMTP_SECONDS, context=trust)
    else:
        server = smtplib.SMTP(host, port, timeout=SMTP_SECONDS)
    try:
        if parts.scheme == "smtp" and PLAIN not in parts.query.split("&"):
            server.starttls(context=trust)
        elif parts.scheme == "smtp":
            return server
        if parts.username:
            server.login(unquote(parts.username), unquote(parts.password or ""))
    except BaseException:
        server.close()
        raise
    return server
