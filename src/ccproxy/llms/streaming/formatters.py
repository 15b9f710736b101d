"""Payloads to SSE strings.

The strings are fixed to the byte, also where what the library's own writers send would differ: JSON is compact and
ASCII, so that half a surrogate pair, which providers do send, survives `.encode()`.
"""

from json import dumps
from typing import Any

from ._events import Json

_DONE = "data: [DONE]\n\n"


def chunk(
    message_id: str,
    model: str,
    created: int,
    delta: Json,
    finish_reason: str | None = None,
    choice_index: int = 0,
    **more: Any,
) -> Json:
    """A Chat Completions chunk with one choice; `more` stands behind the choices."""
    choice = {"index": choice_index, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
    head = {"id": message_id, "object": "chat.completion.chunk", "created": created, "model": model}
    return {**head, "choices": [choice], **more}


class AnthropicSSEFormatter:
    """Frames of the Messages API: an `event:` line, a `data:` line, a blank line."""

    @staticmethod
    def format_event(event_type: str, data: Json) -> str:
        """One frame, named `event_type` whatever the data's own type is.

        Raises `TypeError` or `ValueError` for data that JSON can't hold.
        """
        return f"event: {event_type}\ndata: {dumps(data, separators=(',', ':'))}\n\n"

    @staticmethod
    def format_ping() -> str:
        """The keep-alive, with the space in its JSON that Anthropic sends."""
        return 'event: ping\ndata: {"type": "ping"}\n\n'

    @staticmethod
    def format_done() -> str:
        """`data: [DONE]`. Not part of Anthropic's protocol, whose streams end with `message_stop`."""
        return _DONE


class OpenAISSEFormatter:
    """Frames of Chat Completions: a `data:` line and a blank line. `created` is Unix time in seconds."""

    @staticmethod
    def format_data_event(data: Json) -> str:
        """One frame. Raises `TypeError` or `ValueError` for data that JSON can't hold."""
        return f"data: {dumps(data, separators=(',', ':'))}\n\n"

    @staticmethod
    def format_first_chunk(message_id: str, model: str, created: int, role: str = "assistant") -> str:
        """The chunk that names the role."""
        return OpenAISSEFormatter.format_data_event(chunk(message_id, model, created, {"role": role}))

    @staticmethod
    def format_content_chunk(message_id: str, model: str, created: int, content: str, choice_index: int = 0) -> str:
        """A piece of the text."""
        delta = {"content": content}
        return OpenAISSEFormatter.format_data_event(chunk(message_id, model, created, delta, None, choice_index))

    @staticmethod
    def format_tool_call_chunk(
        message_id: str,
        model: str,
        created: int,
        tool_call_id: str,
        function_name: str | None = None,
        function_arguments: str | None = None,
        tool_call_index: int = 0,
        choice_index: int = 0,
    ) -> str:
        """A fragment of a tool call: its name, a piece of its arguments (JSON text), or both; None is left out.

        `tool_call_index` counts the calls of the choice from 0.
        """
        given = {"name": function_name, "arguments": function_arguments}
        function = {key: value for key, value in given.items() if value is not None}
        call = {"index": tool_call_index, "id": tool_call_id, "type": "function", "function": function}
        delta = {"tool_calls": [call]}
        return OpenAISSEFormatter.format_data_event(chunk(message_id, model, created, delta, None, choice_index))

    @staticmethod
    def format_final_chunk(
        message_id: str,
        model: str,
        created: int,
        finish_reason: str = "stop",
        choice_index: int = 0,
        usage: Json | None = None,
    ) -> str:
        """The chunk that says why the choice ended, with the usage if there is any."""
        more = {"usage": usage} if usage else {}
        return OpenAISSEFormatter.format_data_event(
            chunk(message_id, model, created, {}, finish_reason, choice_index, **more)
        )

    @staticmethod
    def format_error_chunk(message_id: str, model: str, created: int, error_type: str, error_message: str) -> str:
        """The chunk that ends a failed stream: finish reason `error`, and `error: {type, message}`."""
        error = {"type": error_type, "message": error_message}
        return OpenAISSEFormatter.format_data_event(chunk(message_id, model, created, {}, "error", error=error))

    @staticmethod
    def format_done() -> str:
        """What follows the last chunk of a stream that succeeded."""
        return _DONE
