"""A DNS query as a command, to be run where a test's client is; it needs the project's own packages."""

from __future__ import annotations

DNS_ADDRESS = "10.96.0.10"


def dns_command(name: str, type: str = "A", *, server: str = DNS_ADDRESS, python: str = "python3") -> list[str]:
    """The command prints the values of the records, one a line."""
    ask = f"DNSRecord.question({name!r}, {type!r}).send({server!r}, 53, timeout=3, ipv6={':' in server})"
    return [python, "-c", f"from dnslib import DNSRecord; print(DNSRecord.parse({ask}).short())"]
