"""Bytes in and out of the command, without waiting for more than there is, and the ways it ends."""

import io
import os
import stat
import sys
from collections.abc import Iterator
from typing import IO, Any, Final, NoReturn, Self

OK: Final = 0
FAILED: Final = 1
MISUSE: Final = 2
IO_ERROR: Final = 3
INTERRUPTED: Final = 130
PIPE: Final = 141

EXIT_CODES: Final = f"""\
exit codes:
  {OK:<5}done
  {FAILED:<5}the stream failed: cut, unintelligible, or the provider reported an error (`translate` has
       ended its output in the target's error form); a response that can't be translated or is
       an error, and a request that is refused, leave no output
  {MISUSE:<5}wrong arguments or configuration
  {IO_ERROR:<5}the input can't be read, the output can't be written, or the address is taken
  {INTERRUPTED:<5}interrupted (Ctrl-C)
  {PIPE:<5}whoever read the output has gone
"""

STDIO: Final = "-"
_READ_SIZE: Final = 64 * 1024


class Exit(Exception):
    """Ends the command with an exit code and what to say about it (nothing, if empty)."""

    def __init__(self, exit_code: int, reason: str = "") -> None:
        self.exit_code = exit_code
        self.reason = reason
        super().__init__(exit_code, reason)


def printable(text: str) -> str:
    """The text on one line and without anything that a terminal would act upon."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def say(text: str, prefix: str = "ccproxy: ") -> None:
    """One line on stderr. If nobody can read it, so be it."""
    if text and sys.stderr is not None:
        try:
            print(f"{prefix}{printable(text)}", file=sys.stderr, flush=True)
        except (OSError, ValueError):
            pass


def settle(code: int) -> int:
    """Flush what was printed. After a failure, keep the interpreter from complaining a second time at its exit."""
    for stream in (sys.stdout, sys.stderr):
        if stream is None:
            continue
        try:
            stream.flush()
        except (OSError, ValueError) as error:
            if code == OK and stream is sys.stdout:
                code = PIPE if isinstance(error, BrokenPipeError) else IO_ERROR
                say("" if code == PIPE else f"cannot write standard output: {_why(error)}")
            try:
                with open(os.devnull, "wb") as nowhere:
                    os.dup2(nowhere.fileno(), stream.fileno())
            except (OSError, ValueError):
                pass
    return code


class Input:
    """A file or standard input. Iterating gives the bytes as they arrive; leaving the context closes a file."""

    def __init__(self, path: str) -> None:
        """Raises `Exit` if it can't be opened."""
        self._is_file = path != STDIO
        self._name = repr(path) if self._is_file else "standard input"
        self._stream: IO[bytes] | io.RawIOBase
        if self._is_file:
            try:
                self._stream = open(path, "rb", buffering=0)  # noqa: SIM115 - __exit__ closes it
            except (OSError, ValueError) as error:  # ValueError: a NUL in the name
                _refuse("read", self._name, error)
        elif sys.stdin is None:
            raise Exit(IO_ERROR, "standard input is closed")
        else:
            stream = sys.stdin.buffer
            self._stream = stream.raw if isinstance(stream, io.BufferedReader) else stream
            if stream.isatty():
                say("reading what you type; Ctrl-D ends it, Ctrl-C gives up")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._is_file:
            self._stream.close()

    def __iter__(self) -> Iterator[bytes]:
        """Raises `Exit` if it can't be read."""
        while True:
            try:
                data: bytes | None = self._stream.read(_READ_SIZE)  # raw: what is there, not all that was asked for
            except OSError as error:
                _refuse("read", self._name, error)
            if data is None:  # whoever shares the pipe made it non-blocking
                _wait_for(self._stream, for_reading=True)
            elif data:
                yield data
            else:
                return

    def is_file(self, path: str) -> bool:
        """Whether this is the regular file of that name, which writing there would destroy."""
        try:
            here = os.fstat(self._stream.fileno())
            return stat.S_ISREG(here.st_mode) and os.path.samestat(here, os.stat(path))
        except (OSError, ValueError):  # nothing is there yet; not a file at all
            return False


class Output:
    """A file or standard output; what is written leaves at once. Leaving the context closes a file."""

    def __init__(self, path: str = STDIO, input: Input | None = None) -> None:
        """Raises `Exit` if the file can't be written, or is the input."""
        self._is_file = path != STDIO
        self._name = repr(path) if self._is_file else "standard output"
        self._stream: IO[bytes]
        if self._is_file:
            if input is not None and input.is_file(path):
                raise Exit(MISUSE, f"{self._name} is the input; writing there would destroy it before it is read")
            try:
                self._stream = open(path, "wb")  # noqa: SIM115 - __exit__ closes it
            except (OSError, ValueError) as error:
                _refuse("write", self._name, error)
        elif sys.stdout is None:
            raise Exit(IO_ERROR, "standard output is closed")
        else:
            self._stream = sys.stdout.buffer

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._is_file:
            try:
                self._stream.close()
            except OSError as error:
                _refuse("write", self._name, error)

    @property
    def is_terminal(self) -> bool:
        return self._stream.isatty()

    def write(self, data: bytes) -> None:
        """Raises `Exit` if the data can't be written."""
        if not data:
            return
        rest = memoryview(data)
        while True:
            try:
                while rest:
                    rest = rest[self._stream.write(rest) :]
                self._stream.flush()
                return
            except BlockingIOError as error:  # whoever shares the pipe made it non-blocking
                rest = rest[error.characters_written :]
                _wait_for(self._stream, for_reading=False)
            except (OSError, ValueError) as error:
                _refuse("write", self._name, error)


def json(value: Any, indent: int = 2) -> bytes:
    """JSON for people: that many spaces for each level, or one line if that is 0."""
    import msgspec

    from ccproxy.wire.json import dumps

    text = dumps(value)
    try:
        return (msgspec.json.format(text, indent=indent) if indent else text) + b"\n"
    except msgspec.DecodeError:  # it refuses lone surrogates
        from json import dumps as dumps_indented

        return dumps_indented(value, indent=indent).encode() + b"\n"


def _wait_for(stream: IO[bytes] | io.RawIOBase, *, for_reading: bool) -> None:
    from select import select  # hardly ever needed

    select([stream] if for_reading else [], [] if for_reading else [stream], [])


def _refuse(verb: str, name: str, error: Exception) -> NoReturn:
    if isinstance(error, BrokenPipeError):
        raise Exit(PIPE)
    raise Exit(IO_ERROR, f"cannot {verb} {name}: {_why(error)}")


def _why(error: Exception) -> str:
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
