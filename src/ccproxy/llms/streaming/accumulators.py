"""Stream events to the response they amount to, readable at any moment.

Each accumulator is a dialect's reader and the core's assembler, asked in the words of the documented API. Nothing
raises, whatever comes: what is no event is ignored, and after an error, or an event that can't be read, the answer
stays unfinished. Everything given out is the caller's own copy.
"""

from collections import Counter
from collections.abc import Mapping
from copy import deepcopy
from typing import Any, ClassVar, Final

from ccproxy.core.assemble import Assembler, Message, Part
from ccproxy.core.events import Event, Finish, PartStart, StreamError
from ccproxy.core.fields import Fields
from ccproxy.core.grammar import Grammar
from ccproxy.core.losses import Losses
from ccproxy.core.spi import Context, Dialect
from ccproxy.core.vocab import FinishKind, FinishReason
from ccproxy.dialects import anthropic, openai_chat, openai_responses
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

    _dialect: ClassVar[Dialect]

    def __init__(self) -> None:
        self._context = Context()
        self._reader = self._dialect.reader(self._context)
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
        if fault or (events and type(events[-1]) is StreamError):
            self._reader.finished = self._failed = True
        self._note(Fields(payload).word("type") or event_name, payload, events[:legal])

    def _note(self, name: str, payload: Json, events: list[Event]) -> None:
        """Keep what the documented API shows and the message does not have yet, or not in the provider's words."""
        raise NotImplementedError

    @property
    def _message(self) -> Message:
        return self._assembler.message

    def _usage(self, message: Message) -> Json | None:
        """The provider's own counts."""
        raw = message.usage.raw if message.usage is not None else None
        return raw.get(self._dialect.name) if raw else None


class ClaudeAccumulator(_DialectAccumulator):
    """Events of Anthropic's Messages API.

    A tool call is `{id, type: "function", name, input, function: {name, arguments}, index, order}`; `index` and
    `order` are its position among the calls. `rebuild_response_object` gives a message: `content` with every block,
    `stop_reason`, `usage`, and `text` (all text joined) where there is text.
    """

    _dialect = anthropic.DIALECT

    def __init__(self) -> None:
        super().__init__()
        self._envelope: Json = {}  # message_start's message, then what message_delta says of it
        self._parts: dict[int, int] = {}  # by index of the block on the wire

    def get_complete_tool_calls(self) -> list[Json]:
        reason = anthropic.maps.FINISH_READ.get(Fields(self._envelope).word("stop_reason"))
        return [
            {
                "id": part.start.id,
                "type": "function",
                "name": part.start.name,
                "input": anthropic.response.tool_input(part),
                "function": {"name": part.start.name, "arguments": part.text or "{}"},
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
        return part.start.id or f"block_{number}", deepcopy(anthropic.response.block(part))

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
                    "input": anthropic.response.tool_input(part) if is_object(part.text) else {},
                    "partial_json": part.text,
                    "index": position,
                    "order": position,
                    "type": "tool_use",
                }
        return None

    def rebuild_response_object(self, response: Json) -> Json:
        message = self._message
        out = _completed({"type": "message", "role": "assistant"} | response, self._envelope)
        out["content"] = [anthropic.response.block(part) for part in message.parts]
        usage, text = self._usage(message), message.text()
        if usage is not None:
            out["usage"] = usage
        if text:
            out["text"] = text
        return deepcopy(out)

    def _note(self, name: str, payload: Json, events: list[Event]) -> None:
        for event in events:
            if type(event) is PartStart:
                index = Fields(payload).number("index")
                self._parts[event.part if index is None else index] = event.part
        place = {"message_start": "message", "message_delta": "delta"}.get(name)
        if place is not None and not self._failed:
            self._envelope = _completed(self._envelope, Fields(payload).noise(place).raw)

    def _tools(self) -> list[Part]:
        return [part for part in self._message.parts if part.start.kind == "tool"]


class OpenAIAccumulator(_DialectAccumulator):
    """Chunks of OpenAI's Chat Completions. They have no names: `event_name` means nothing here.

    A tool call is `{id, type: "function", index, order, function: {name, arguments}}`; `index` is its position among
    the calls of its choice, `order` among all. `rebuild_response_object` gives a completion: `choices`, each with its
    own message, and `usage`. The argument's own `id`, `created` and `model` stay.
    """

    _dialect = openai_chat.DIALECT

    def __init__(self) -> None:
        super().__init__()
        self._finishes: dict[int, str] = {}  # by choice

    def accumulate(self, event_name: str, event_data: Json) -> None:
        super().accumulate("", event_data)

    def get_complete_tool_calls(self) -> list[Json]:
        calls: list[Json] = []
        seen: Counter[int] = Counter()
        tools = (part for part in self._message.parts if part.start.kind in ("tool", "custom_tool"))
        for order, part in enumerate(tools):
            choice = part.start.choice
            if _is_complete(part, self._reason(self._finishes.get(choice)) in _CUT):
                function = {"name": part.start.name, "arguments": openai_chat.response.arguments(part)}
                call = {"id": part.start.id, "type": "function", "index": seen[choice], "order": order}
                calls.append({**call, "function": function})
            seen[choice] += 1
        return calls

    def rebuild_response_object(self, response: Json) -> Json:
        message = self._message
        if message.start is None:
            return deepcopy({**response, "choices": []})
        message.finishes = {number: Finish(number, FinishReason("unknown", raw)) for number, raw in self._finishes.items()}
        whole = self._dialect.body(message, self._context, Losses())
        for choice in whole["choices"]:
            choice["finish_reason"] = self._finishes.get(choice["index"])
        usage = self._usage(message)
        out = _completed(whole, response) | {"choices": whole["choices"]} | ({} if usage is None else {"usage": usage})
        return deepcopy(out)

    def _note(self, name: str, payload: Json, events: list[Event]) -> None:
        if self._failed:
            return
        for choice in Fields(payload).each("choices"):
            number, raw = choice.integer("index") or 0, choice.word("finish_reason")
            if raw and self._rank(raw) > self._rank(self._finishes.get(number)):
                self._finishes[number] = raw

    @staticmethod
    def _reason(raw: str | None) -> FinishKind | None:
        return None if raw is None else openai_chat.maps.FINISH_READ.get(raw, "unknown")

    def _rank(self, raw: str | None) -> int:
        """A finish reason gives way to one that says more, as in the reader."""
        reason = self._reason(raw)
        return -1 if reason is None else openai_chat.maps.FINISH_RANK.get(reason, 3)


class ResponsesAccumulator(_DialectAccumulator):
    """Events of OpenAI's Responses API.

    A tool call is `{id, type: "function_call", call_id, function: {name, arguments}}`. `rebuild_response_object` gives
    the response of the terminal event if there was one, else one built from the items; with `tool_calls`,
    `reasoning.summary` and `text` (all text joined) where there are any.
    """

    _dialect = openai_responses.DIALECT
    _terminal: ClassVar = ("response.completed", "response.incomplete", "response.failed", "response.cancelled")

    def __init__(self) -> None:
        super().__init__()
        self._final: Json | None = None

    def get_complete_tool_calls(self) -> list[Json]:
        message = self._message
        return deepcopy([call for parts in _items(message) for call in self._calls(parts, message)])

    def get_completed_response(self) -> Json | None:
        """The response as the terminal event had it, complete or not; None before there was one."""
        return deepcopy(self._final)

    def rebuild_response_object(self, response: Json) -> Json:
        message = self._message
        started = message.start.meta.get(self._dialect.name, {}).get("response", {}) if message.start else {}
        final = self._final or {}
        out = {**response, **(final or started)}
        items = [self._item(parts, message) for parts in _items(message)]
        output = Fields(final).raw.get("output") or items or out.get("output")
        out["output"] = output if isinstance(output, list) else []
        calls, text = self.get_complete_tool_calls(), message.text()
        summary = [self._content(part) for part in message.parts if part.start.channel == "summary" and part.text]
        if calls:
            out["tool_calls"] = calls
        if summary:
            out["reasoning"] = {**Fields(out).noise("reasoning").raw, "summary": summary}
        if text:
            out["text"] = text
        return deepcopy(out)

    def _note(self, name: str, payload: Json, events: list[Event]) -> None:
        if name in self._terminal:
            self._final = dict(Fields(payload).noise("response").raw) or self._final

    def _calls(self, parts: list[Part], message: Message) -> list[Json]:
        part = parts[0]
        cut = Fields(_done(parts) or self._final or {}).word("status") in ("incomplete", "failed")
        if part.start.kind != "tool" or not _is_complete(part, cut):
            return []
        item = self._item(parts, message)
        function = {"name": item.get("name"), "arguments": part.text or "{}"}
        return [{"id": item.get("id"), "type": "function_call", "call_id": part.start.id, "function": function}]

    def _item(self, parts: list[Part], message: Message) -> Json:
        """An output item as `output_item.done` had it, else as far as it came."""
        start = parts[0].start
        id = openai_responses.response.item_id(start, message.start.id if message.start else "", start.group or 0)
        cited = openai_responses.response.Cited(Losses())
        return _done(parts) or openai_responses.response.item(parts, id, "in_progress", self._context, cited)

    def _content(self, part: Part) -> Json:
        return openai_responses.response.content(part, self._context, openai_responses.response.Cited(Losses()))


def _is_complete(part: Part, cut: bool) -> bool:
    """Whether a call has ended with whole arguments. One without any may have been cut before they came."""
    if part.end is None:
        return False
    return is_object(part.text) if part.text and part.start.kind == "tool" else not cut


def _completed(known: Json, news: Mapping[str, Any]) -> Json:
    """News win; a null is none where something is known."""
    return known | {key: value for key, value in news.items() if value is not None or key not in known}


def _items(message: Message) -> list[list[Part]]:
    """The parts of each output item of a Responses message, by output_index."""
    items: dict[int, list[Part]] = {}
    for part in message.parts:
        items.setdefault(part.start.group or 0, []).append(part)
    return [items[index] for index in sorted(items)]


def _done(parts: list[Part]) -> Json:
    """The item of `output_item.done`; empty before it came."""
    end = parts[-1].end
    return dict(end.meta.get(openai_responses.DIALECT.name, {}).get("item", {})) if end is not None else {}
