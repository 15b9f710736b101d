"""The socket and the limits under the server; the commands' tests run the rest."""

import socket

import pytest

from ccproxy.gateway.run import descriptors_short, listen, url_of


def test_any_free_port() -> None:
    with listen("127.0.0.1", 0) as one, listen("localhost", 0) as other:
        assert url_of(one) == f"http://127.0.0.1:{one.getsockname()[1]}"
        assert url_of(one) != url_of(other)


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")
def test_addresses_of_ipv6_are_in_brackets() -> None:
    try:
        sock = listen("::1", 0)
    except OSError as error:
        pytest.skip(f"no IPv6 here: {error}")
    with sock:
        assert url_of(sock) == f"http://[::1]:{sock.getsockname()[1]}"


def test_every_address_is_reached_at_this_machine() -> None:
    with listen("0.0.0.0", 0) as sock:
        assert url_of(sock).startswith("http://127.0.0.1:")


def test_a_port_that_is_taken() -> None:
    with listen("127.0.0.1", 0) as sock:
        sock.listen()
        with pytest.raises(OSError, match="in use"):
            listen("127.0.0.1", sock.getsockname()[1])


def test_limits_of_files() -> None:
    assert descriptors_short(1) == ""
    assert "limits.max_exchanges is 1000000000000" in descriptors_short(10**12)
