"""A small HTTP/1.1 server on loopback: keep-alive, one thread per connection, one write per answer.

The standard library's parser, without what costs time in it: no reverse look-up of the host, no delayed packets.
"""

import http
import http.server
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from email.message import Message
from typing import Any

from local.closing import Closing

_BLOCK = 64 * 1024

_POLL_SECONDS = 0.01
"""How long closing may have to wait; looking this often costs nothing that can be measured."""


@dataclass
class Request:
    """One request. Its body is read when it is asked for, once: through `read` or through `blocks`."""

    method: str
    target: str
    """Path and query, as sent."""
    headers: Message
    blocks: Iterator[bytes]

    def read(self) -> bytes:
        """The whole body."""
        return b"".join(self.blocks)


@dataclass
class Response:
    """One answer. A body of unknown length, an iterator, is sent in chunks as it comes."""

    status: int
    body: bytes | Iterator[bytes] = b""
    headers: Mapping[str, str] = field(default_factory=dict)


Application = Callable[[Request], Response | None]
"""Answers a request. None drops the connection without an answer, as a broken network does."""


class HttpServer(Closing):
    """Serves `application` on 127.0.0.1 until it is closed; port 0 takes a free one. A context manager."""

    def __init__(self, application: Application, port: int = 0) -> None:
        self._server = _Server(application, port)
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(_POLL_SECONDS,), name="local-http", daemon=True
        )
        self._thread.start()

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return self._server.server_port

    @property
    def url(self) -> str:
        """Where clients find it."""
        return f"http://127.0.0.1:{self.port}"

    def close(self) -> None:
        """Stop listening, cut what is connected, and wait until every thread has ended."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self._server.cut_connections()


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, application: Application, port: int) -> None:
        self.application = application
        self._connections: dict[socket.socket, threading.Thread] = {}
        self._connections_lock = threading.Lock()
        super().__init__(("127.0.0.1", port), _Handler)

    def server_bind(self) -> None:
        # http.server's own version looks up the host's full name, which can take seconds without a network.
        super(http.server.HTTPServer, self).server_bind()
        self.server_name, self.server_port = self.server_address[0], self.server_address[1]  # type: ignore[assignment]  # an IPv4 address: (str, int)

    def process_request_thread(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - as the base class has it
        with self._connections_lock:
            self._connections[request] = threading.current_thread()
        super().process_request_thread(request, client_address)

    def shutdown_request(self, request: Any) -> None:  # noqa: ANN401 - as the base class has it
        with self._connections_lock:
            self._connections.pop(request, None)
        super().shutdown_request(request)

    def cut_connections(self) -> None:
        with self._connections_lock:
            open_connections = dict(self._connections)
        for connection, thread in open_connections.items():
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # its own thread has just closed it
            finally:
                thread.join(timeout=5)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - as the base class has it
        """Report what is a fault of ours; a client that went away is none."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def _answer(self) -> None:
        blocks = self._body()
        response = self.server.application(Request(self.command, self.path, self.headers, blocks))
        if response is None:
            self.close_connection = True
            return
        self._send(response)
        for _ in blocks:  # what was not read would be taken for the next request
            pass

    do_DELETE = do_GET = do_HEAD = do_OPTIONS = do_PATCH = do_POST = do_PUT = _answer  # noqa: N815 - http.server's names

    def _body(self) -> Iterator[bytes]:
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            yield from self._chunks()
            return
        left = int(self.headers.get("Content-Length") or 0)
        while left > 0:
            block = self.rfile.read(min(left, _BLOCK))
            if not block:
                raise ConnectionError("the request's body ended early")
            left -= len(block)
            yield block

    def _chunks(self) -> Iterator[bytes]:
        while size := int(self.rfile.readline().split(b";")[0], 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass  # trailers

    def _send(self, response: Response) -> None:
        head = [f"HTTP/1.1 {response.status} {http.HTTPStatus(response.status).phrase}"]
        head += [f"{name}: {value}" for name, value in response.headers.items()]
        if isinstance(response.body, bytes):
            if "Content-Length" not in response.headers:
                head.append(f"Content-Length: {len(response.body)}")
            body = b"" if self.command == "HEAD" else response.body
            self.wfile.write(_head_bytes(head) + body)
            return
        chunked = "Content-Length" not in response.headers
        if chunked:
            head.append("Transfer-Encoding: chunked")
        self.wfile.write(_head_bytes(head))
        for block in response.body:
            self.wfile.write(b"%x\r\n%b\r\n" % (len(block), block) if chunked else block)
        if chunked:
            self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *_: object) -> None:
        """Say nothing: the services keep a journal."""


def _head_bytes(lines: list[str]) -> bytes:
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
