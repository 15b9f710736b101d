"""Stream events to the response they amount to, readable at any moment.

Each accumulator is a dialect's reader and the core's assembler, asked in the words of the documented API. Nothing
raises, whatever comes: what is no event is ignored, and after an error, or an event that can't be read, the answer
stays unfinished. Everything given out is the caller's own copy.
"""

from collections import Counter
from collections.abc import Mapping
from copy import deepcopy
from time import time
from typing import Any, ClassVar, Final

from msgspec.structs import replace

from ccproxy import dialects
from ccproxy.core.assemble import Assembler, Message, Part
from ccproxy.core.events import Event, Finish, PartStart, StreamError
from ccproxy.core.fields import Fields
from ccproxy.core.grammar import Grammar
from ccproxy.core.losses import Losses
from ccproxy.core.spi import Context
from ccproxy.core.vocab import FinishKind, FinishReason
from ccproxy.dialects.anthropic.maps import FINISH_READ as STOP_READ
from ccproxy.dialects.anthropic.response import block, tool_input
from ccproxy.dialects.openai_chat.maps import FINISH_RANK, FINISH_READ
from ccproxy.dialects.openai_chat.response import arguments
from ccproxy.dialects.openai_responses.response import Cited, content, item, item_id, item_type
from ccproxy.wire.json import is_object

from ._events import Json, as_dict

_CUT: Final[frozenset[FinishKind | None]] = frozenset({"length", "context_full", "filtered"})
"""Why an answer may have stopped inside a call."""


class StreamAccumulator:
    """The interface; it accumulates nothing itself."""

    def accumulate(self, event_name: str, event_data: Json) -> None:
        """Take one event: a dict, or any object with `model_dump()`. Its own `type` counts before `event_name`."""
        raise NotImplementedError

    def get_complete_tool_calls(self) -> list[Json]:
        """The calls that have ended and whose arguments are one JSON object, in order of appearance.

        `arguments` is the text as it came, `{}` where a call has none. A call that was cut is never listed.
        """
        raise NotImplementedError

    def rebuild_response_object(self, response: Json) -> Json:
        """A copy of `response`, completed by what the stream has said so far."""
        raise NotImplementedError


class _DialectAccumulator(StreamAccumulator):
    """Reads one dialect into a `Message`."""

    dialect: ClassVar[str]

    def __init__(self) -> None:
        self._context = Context(created=int(time()))
        self._reader = dialects.get(self.dialect).reader(self._context)
        self._grammar = Grammar(self._context.limits.max_parts)
        self._assembler = Assembler()
        self._failed = False

    def accumulate(self, event_name: str, event_data: Json) -> None:
        payload = as_dict(event_data)
        if payload is None:
            return
        payload = deepcopy(payload)
        events = self._reader.read_payload(event_name, payload)
        legal, fault = self._grammar.check(events)
        self._assembler.on_events(events[:legal])
        self._failed = self._failed or bool(fault) or type(events[-1] if events else None) is StreamError
        self._reader.finished = self._reader.finished or self._failed
        self._note(Fields(payload).word("type") or event_name, payload, events[:legal])

    def _note(self, name: str, payload: Json, events: list[Event]) -> None:
        """Keep what the documented API shows and the message does not have yet, or not in the provider's words."""
        raise NotImplementedError

    def _usage(self, message: Message) -> Json:
        """The provider's own counts as `usage`; nothing if there are none."""
        raw = message.usage.raw if message.usage is not None else None
        return {"usage": raw[self.dialect]} if raw else {}


class ClaudeAccumulator(_DialectAccumulator):
    """Events of Anthropic's Messages API.

    A tool call is `{id, type: "function", name, input, function: {name, arguments}, index, order}`; `index` and
    `order` are its position among the calls. `rebuild_response_object` gives a message: `content` with every block,
    `stop_reason`, `usage`, and `text` (all text joined) where there is text.
    """

    dialect = "anthropic"

    def __init__(self) -> None:
        super().__init__()
        self._envelope: Json = {}  # message_start's message, then what message_delta says of it
        self._parts: dict[int, int] = {}  # by index of the block on the wire

    def get_complete_tool_calls(self) -> list[Json]:
        reason = STOP_READ.get(Fields(self._envelope).word("stop_reason"))
        return [
            {
                "id": part.start.id,
                "type": "function",
                "name": part.start.name,
                "input": tool_input(part),
                "function": {"name": part.start.name, "arguments": arguments(part)},
                "index": position,
                "order": position,
            }
            for position, part in enumerate(self._tools())
            if _is_complete(part, reason in _CUT)
        ]

    def get_block_info(self, index: int) -> tuple[str, Json] | None:
        """(block id, block as it is by now) for the block's index on the wire; None if there is none such.

        The id is the tool's own; a block without any gets one from its position.
        """
        number = self._parts.get(index)
        if number is None:
            return None
        part = self._assembler.part(number)
        return part.start.id or f"block_{number}", deepcopy(block(part))

    def get_tool_entry(self, index_or_id: int | str) -> Json | None:
        """`{id, name, input, partial_json, index, order, type: "tool_use"}` of a call, from its start on.

        Found by the index of its block on the wire, or by its id. `input` is empty until the arguments are complete;
        `partial_json` is their text so far. None if there is no such call.
        """
        number = self._parts.get(index_or_id) if isinstance(index_or_id, int) else None
        for position, part in enumerate(self._tools()):
            if part.start.part == number or part.start.id == index_or_id:
                return {
                    "id": part.start.id,
                    "name": part.start.name,
                    "input": tool_input(part) if is_object(part.text) else {},
                    "partial_json": part.text,
                    "index": position,
                    "order": position,
                    "type": "tool_use",
                }
        return None

    def rebuild_response_object(self, response: Json) -> Json:
        message = self._assembler.message
        text = message.text()
        out: Json = {"type": "message", "role": "assistant", "content": []} | response
        if message.start is not None:
            out = _completed(out, self._envelope)
            out |= {"content": [block(part) for part in message.parts], **self._usage(message)}
        return deepcopy(out | ({"text": text} if text else {}))

    def _note(self, name: str, payload: Json, events: list[Event]) -> None:
        for event in events:
            if type(event) is PartStart:
                index = Fields(payload).number("index")
                self._parts[event.part if index is None else index] = event.part
        if self._failed:
            self._envelope.pop("stop_reason", None)  # no success before an error either
        elif name == "message_start":
            self._envelope = _completed(self._envelope, Fields(payload).noise("message").raw)
        elif name == "message_delta":
            beside = {key: value for key, value in payload.items() if key not in ("type", "delta", "usage")}
            self._envelope = _completed(self._envelope, beside | dict(Fields(payload).noise("delta").raw))

    def _tools(self) -> list[Part]:
        return [part for part in self._assembler.message.parts if part.start.kind == "tool"]


class OpenAIAccumulator(_DialectAccumulator):
    """Chunks of OpenAI's Chat Completions. They have no names: `event_name` means nothing here.

    A tool call is `{id, type: "function", index, order, function: {name, arguments}}`; `index` is its position among
    the calls of its choice, `order` among all. `rebuild_response_object` gives a completion: `choices`, each with its
    own message, and `usage`. The argument's own `id`, `created` and `model` stay.
    """

    dialect = "openai-chat"

    def __init__(self) -> None:
        super().__init__()
        self._finishes: dict[int, str] = {}  # by choice

    def accumulate(self, event_name: str, event_data: Json) -> None:
        super().accumulate("", event_data)

    def get_complete_tool_calls(self) -> list[Json]:
        calls: list[Json] = []
        seen: Counter[int] = Counter()
        tools = (part for part in self._assembler.message.parts if part.start.kind in ("tool", "custom_tool"))
        for order, part in enumerate(tools):
            choice = part.start.choice
            if _is_complete(part, _unified(self._finishes.get(choice)) in _CUT):
                function = {"name": part.start.name, "arguments": arguments(part)}
                head = {"id": part.start.id, "type": "function", "index": seen[choice], "order": order}
                calls.append({**head, "function": function})
            seen[choice] += 1
        return calls

    def rebuild_response_object(self, response: Json) -> Json:
        message = self._assembler.message
        if message.start is None:
            return deepcopy({"choices": []} | response)
        for choice, raw in self._finishes.items():
            unified = FINISH_READ.get(raw, "unknown")
            message.finishes[choice] = Finish(choice, FinishReason("unknown" if unified == "error" else unified, raw))
        whole = dialects.get(self.dialect).body(message, self._context, Losses())
        for choice in whole["choices"]:
            choice["finish_reason"] = self._finishes.get(choice["index"])
        return deepcopy(_completed(whole, response) | {"choices": whole["choices"], **self._usage(message)})

    def _note(self, name: str, payload: Json, events: list[Event]) -> None:
        if self._failed:
            self._finishes.clear()  # no success before an error either
            return
        for choice in Fields(payload).each("choices"):
            number, raw = choice.integer("index") or 0, choice.word("finish_reason")
            if raw not in ("", "null") and _rank(raw) > _rank(self._finishes.get(number)):
                self._finishes[number] = raw


class ResponsesAccumulator(_DialectAccumulator):
    """Events of OpenAI's Responses API.

    A tool call is `{id, type: "function_call", call_id, function: {name, arguments}}`. `rebuild_response_object` gives
    the response of the terminal event if there was one, else one built from the items; with `tool_calls`,
    `reasoning.summary` and `text` (all text joined) where there are any.
    """

    dialect = "openai-responses"
    _terminal: Final = ("response.completed", "response.incomplete", "response.failed", "response.cancelled")

    def __init__(self) -> None:
        super().__init__()
        self._final: Json = {}

    def get_complete_tool_calls(self) -> list[Json]:
        message = self._assembler.message
        return [call for parts in _items(message) if (call := self._call(parts, message))]

    def get_completed_response(self) -> Json | None:
        """The response as the terminal event had it, whatever its status; None before there was one."""
        return deepcopy(self._final) or None

    def rebuild_response_object(self, response: Json) -> Json:
        message = self._assembler.message
        started = message.start.meta.get(self.dialect, {}).get("response", {}) if message.start else {}
        out = {**response, **(self._final or started)}
        items = [self._item(parts, message) for parts in _items(message)]
        output = self._final.get("output") or items or out.get("output")
        out["output"] = output if isinstance(output, list) else []
        calls, text = self.get_complete_tool_calls(), message.text()
        cited = Cited(Losses())
        summary = [
            content(part, self._context, cited)
            for part in message.parts
            if part.start.channel == "summary" and part.text
        ]
        if calls:
            out["tool_calls"] = calls
        if summary:
            out["reasoning"] = {**Fields(out).noise("reasoning").raw, "summary": summary}
        if text:
            out["text"] = text
        return deepcopy(out)

    def _note(self, name: str, payload: Json, events: list[Event]) -> None:
        if name in self._terminal:
            self._final = dict(Fields(payload).noise("response").raw)

    def _call(self, parts: list[Part], message: Message) -> Json | None:
        """The item as a tool call, if it is a complete one."""
        done = Fields(_done(parts))
        # What the item says in the end counts: GitHub Copilot may send the deltas encrypted.
        part = replace(parts[0], text=done.word("arguments") or parts[0].text)
        cut = Fields(done.raw or self._final).word("status") in ("incomplete", "failed")
        if part.start.kind != "tool" or not _is_complete(part, cut):
            return None
        own = self._item(parts, message)
        function = {"name": own.get("name"), "arguments": arguments(part)}
        return {"id": own.get("id"), "type": "function_call", "call_id": part.start.id, "function": function}

    def _item(self, parts: list[Part], message: Message) -> Json:
        """An output item as `output_item.done` had it, else as far as it came."""
        start = parts[0].start
        id = item_id(start, message.start.id if message.start else "", start.group or 0)
        return _done(parts) or item(parts, id, "in_progress", self._context, Cited(Losses()))


def _is_complete(part: Part, cut: bool) -> bool:
    """Whether a call has ended with whole arguments. One without any may have been cut before they came."""
    if part.end is None:
        return False
    return is_object(part.text) if part.text and part.start.kind == "tool" else not cut


def _completed(known: Mapping[str, Any], news: Mapping[str, Any]) -> Json:
    """News win; a null is none where something is known."""
    return {**known, **{key: value for key, value in news.items() if value is not None or key not in known}}


def _unified(finish_reason: str | None) -> FinishKind | None:
    return None if finish_reason is None else FINISH_READ.get(finish_reason, "unknown")


def _rank(finish_reason: str | None) -> int:
    """A finish reason gives way to one that says more, as in the reader."""
    unified = _unified(finish_reason)
    return -1 if unified is None else FINISH_RANK.get(unified, 3)


def _items(message: Message) -> list[list[Part]]:
    """The parts of each output item of a Responses message, by output_index."""
    items: dict[tuple[int, str], list[Part]] = {}
    for part in message.parts:
        items.setdefault((part.start.group or 0, item_type(part.start)), []).append(part)
    return [items[place] for place in sorted(items)]


def _done(parts: list[Part]) -> Json:
    """The item of `output_item.done`; empty before it came."""
    end = parts[-1].end
    return dict(end.meta.get(ResponsesAccumulator.dialect, {}).get("item", {})) if end is not None else {}
