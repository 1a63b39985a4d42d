#!/usr/bin/env python3
"""register.py HOST PORT DOMAIN NAME PASSWORD: makes an account in-band (XEP-0077), with TLS if it is offered; fine if it exists."""

import re
import socket
import ssl
import sys

TLS = "urn:ietf:params:xml:ns:xmpp-tls"
FEATURES = rb"</stream:features>|<stream:features/>"


def expect(stream: socket.socket, pattern: bytes) -> bytes:
    seen = b""
    while not re.search(pattern, seen):
        more = stream.recv(65536)
        if not more:
            sys.exit(f"the stream ended; wanted {pattern!r}, got {seen[-300:]!r}")
        seen += more
    return seen


def main(host: str, port: str, domain: str, name: str, password: str) -> int:
    header = (
        f"<?xml version='1.0'?><stream:stream to='{domain}' version='1.0' xmlns='jabber:client' "
        "xmlns:stream='http://etherx.jabber.org/streams'>"
    ).encode()
    stream = socket.create_connection((host, int(port)), timeout=10)
    stream.sendall(header)
    if TLS.encode() in expect(stream, FEATURES):
        stream.sendall(f"<starttls xmlns='{TLS}'/>".encode())
        expect(stream, rb"<proceed")
        trusting = ssl.create_default_context()
        trusting.check_hostname = False
        trusting.verify_mode = ssl.CERT_NONE
        stream = trusting.wrap_socket(stream, server_hostname=domain)
        stream.sendall(header)
        expect(stream, FEATURES)
    stream.sendall(
        f"<iq type='set' id='r1' to='{domain}'><query xmlns='jabber:iq:register'>"
        f"<username>{name}</username><password>{password}</password></query></iq>".encode()
    )
    answer = expect(stream, rb"<iq[^>]*id=.r1.[^>]*/>|</iq>")
    if re.search(rb"type=['\"]result|<conflict", answer):
        return 0
    print(answer.decode())
    return 1


sys.exit(main(*sys.argv[1:6]))
