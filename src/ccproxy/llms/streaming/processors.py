"""Decoded events of one API to the events of another, as they come.

Each processor is a `Translator`: an event goes in as a frame, the frames that it causes come out.
"""

import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from json import loads
from time import time
from typing import Any, Final, Literal
from uuid import uuid4

from ccproxy.dialects.anthropic import errors
from ccproxy.dialects.openai_chat import response, usage
from ccproxy.translator import Translator

from ._events import Json, as_dict
from .formatters import AnthropicSSEFormatter, OpenAISSEFormatter, chunk

_THINKING_XML: Final = "LLM__OPENAI_THINKING_XML"
_OFF: Final = ("0", "false", "no", "off")
_DONE: Final = OpenAISSEFormatter.format_done()
_LAST: Final = (_DONE, "event: message_stop\n", "event: error\n")
"""What the last frame of a stream begins with, but for Chat's errors."""


class OpenAIStreamProcessor:
    """Anthropic events to Chat Completions chunks.

    Every chunk has one choice; usage stands on the chunk with the finish reason. A stream that fails or is cut ends in
    a chunk with `finish_reason: "error"` and `error: {type, message}`, the type being Anthropic's, and no `[DONE]`.

    Args:
        message_id: `id` of every chunk; made up by default.
        model: `model` of every chunk, whatever the upstream calls itself.
        created: Unix time in seconds; now by default.
        enable_usage: whether token counts are sent.
        enable_tool_calls: whether tool calls are sent.
        enable_thinking_serialization: True puts thinking into the content, as `<thinking signature="…">…</thinking>`
            when its block ends; False sends it as `reasoning_content` as it comes; None reads the environment variable
            `LLM__OPENAI_THINKING_XML` (off with 0, false, no or off; on by default).
        output_format: "sse" for strings of one frame each, "dict" for chunks.
    """

    def __init__(
        self,
        message_id: str | None = None,
        model: str = "claude-3-5-sonnet-20241022",
        created: int | None = None,
        enable_usage: bool = True,
        enable_tool_calls: bool = True,
        enable_thinking_serialization: bool | None = None,
        output_format: Literal["sse", "dict"] = "sse",
    ) -> None:
        if enable_thinking_serialization is None:
            enable_thinking_serialization = os.environ.get(_THINKING_XML, "").strip().lower() not in _OFF
        self.message_id = message_id or f"chatcmpl-{uuid4().hex}"
        self.model = model
        self.created = int(time()) if created is None else created
        self.enable_usage = enable_usage
        self.enable_tool_calls = enable_tool_calls
        self.enable_thinking_serialization = enable_thinking_serialization
        self.output_format = output_format

    async def process_stream(self, claude_stream: AsyncIterator[Any]) -> AsyncGenerator[str | Json, None]:
        """Translate one stream; a processor may be used for several.

        `claude_stream` gives event dicts, bare or as `{"event": name, "data": {…}}`, or objects of the official SDK.
        Nothing in it raises; an exception of its own becomes the error chunk.
        """
        translator = Translator(
            "anthropic",
            "openai-chat",
            model=self.model,
            created=self.created,
            include_usage=False,
            reasoning="thinking-xml" if self.enable_thinking_serialization else "reasoning_content",
        )
        async for frame in _translated(claude_stream, lambda _: translator, _BareStop().repair):
            if frame == _DONE:
                if self.output_format != "dict":
                    yield frame
            elif frame.startswith("data: "):  # not a ping, which is a comment
                for out in self._chunks(loads(frame.removeprefix("data: ")), translator):
                    yield out if self.output_format == "dict" else OpenAISSEFormatter.format_data_event(out)

    def _chunks(self, out: Json, translator: Translator) -> Iterator[Json]:
        """A chunk of the writer in the documented form."""
        if "choices" not in out:
            yield from self._error(translator)
            return
        out["id"] = self.message_id
        (choice,) = out["choices"]
        if "tool_calls" in choice["delta"] and not self.enable_tool_calls:
            return
        if choice["finish_reason"] is not None:
            if choice["finish_reason"] == "tool_calls" and not self.enable_tool_calls:
                choice["finish_reason"] = "stop"
            if self.enable_usage and translator.usage is not None:
                out["usage"] = usage.write(translator.usage)
        yield out

    def _error(self, translator: Translator) -> Iterator[Json]:
        """The error chunk, after the thinking that waited for the end of its block."""
        if self.enable_thinking_serialization:
            for part in translator.message.parts:
                if part.start.kind == "reasoning" and part.end is None and (part.text or part.signature):
                    yield self._chunk({"content": response.thinking_element(part)})
        if translator.error is not None:
            error = errors.write(translator.error.event)["error"]
            yield self._chunk({}, "error", error={"type": error["type"], "message": translator.error.reason})

    def _chunk(self, delta: Json, finish_reason: str | None = None, **more: Any) -> Json:
        return chunk(self.message_id, self.model, self.created, delta, finish_reason, **more)


class AnthropicStreamProcessor:
    """Chat Completions chunks to Anthropic events. Anthropic events are put into frames and otherwise left alone.

    A stream that fails or is cut ends in an `error` event.

    Args:
        model: `model` of the message, where chunks are translated.
    """

    def __init__(self, model: str = "claude-3-5-sonnet-20241022") -> None:
        self.model = model

    async def process_stream(self, stream: AsyncIterator[Any]) -> AsyncGenerator[str, None]:
        """Translate one stream to SSE strings of one frame each; a processor may be used for several.

        `stream` gives dicts or objects of the official SDKs; the first one tells whose they are, Anthropic's if it has
        a `type`. Nothing in it raises; an exception of its own becomes the error event.
        """
        async for frame in _translated(stream, self._translator):
            yield frame

    def _translator(self, first: Json) -> Translator:
        if isinstance(first.get("type"), str):
            return Translator("anthropic", "anthropic")
        return Translator("openai-chat", "anthropic", model=self.model)


class _BareStop:
    """`message_stop` is an end, though the stream has told no stop_reason (scripted streams do without).

    In its place goes the least that the dialect asks of an end.
    """

    def __init__(self) -> None:
        self._told = False

    def repair(self, event: Json) -> Json:
        source = event.get("message", event.get("delta"))
        if isinstance(source, dict) and source.get("stop_reason"):
            self._told = True
        if event.get("type") == "message_stop" and not self._told:
            return {"type": "message_delta", "delta": {"stop_reason": "end_turn"}}
        return event


async def _translated(
    stream: AsyncIterator[Any],
    begin: Callable[[Json], Translator],
    repair: Callable[[Json], Json] = lambda event: event,
) -> AsyncGenerator[str, None]:
    """The translator's frames, each with the event that caused it, up to the last word of the stream.

    `begin` makes the translator when the first event has come; of a stream without any, that is `{}`.
    """
    translator: Translator | None = None
    try:
        async for item in stream:
            event = _event(item)
            if event is None:
                continue
            translator = translator or begin(event)
            for frame in _frames(translator.feed(_encoded(repair(event)))):
                yield frame
                if frame.startswith(_LAST):
                    return
            if translator.error is not None:
                return
        translator = translator or begin({})
        rest = translator.close()
    except Exception as failure:  # of the source, whatever it is: the reader of the answer learns of it in no other way
        error = {"type": "api_error", "message": str(failure) or type(failure).__name__}
        translator = translator or begin({})
        rest = translator.feed(_encoded({"type": "error", "error": error}))
    for frame in _frames(rest):
        yield frame


def _event(item: object) -> Json | None:
    """The event without its wrapping, its name in its `type`; None if it is no event at all."""
    event = as_dict(item)
    inner = as_dict(event["data"]) if event and isinstance(event.get("event"), str) and "data" in event else None
    if event is None or inner is None:
        return event
    return inner if isinstance(inner.get("type"), str) else {**inner, "type": event["event"]}


def _frames(out: bytes) -> list[str]:
    return [f"{frame}\n\n" for frame in out.decode().split("\n\n") if frame]


def _encoded(event: Json) -> bytes:
    """The event as a frame. A name that could not stand on its line is left to the data."""
    name = event.get("type")
    if name == "ping":
        return AnthropicSSEFormatter.format_ping().encode()
    if isinstance(name, str) and name.isprintable():
        return AnthropicSSEFormatter.format_event(name, event).encode()
    return OpenAISSEFormatter.format_data_event(event).encode()
