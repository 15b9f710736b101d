"""Events to Chat Completions chunks."""

from collections.abc import Callable
from typing import Any, ClassVar

from ccproxy.core.assemble import Part
from ccproxy.core.events import (
    Citation,
    Delta,
    Finish,
    Opaque,
    PartEnd,
    PartStart,
    Ping,
    Signature,
    StreamEnd,
    StreamError,
    StreamStart,
    UsageUpdate,
)
from ccproxy.core.losses import Losses
from ccproxy.core.spi import Context
from ccproxy.core.vocab import Usage
from ccproxy.core.writer import BaseWriter
from ccproxy.wire.json import Hole, dumps

from . import errors, response, usage


class _Choice:
    """What one choice has said so far, as far as later chunks depend on it."""

    __slots__ = ("calls", "citations", "group", "live", "signatures", "texts")

    def __init__(self, signatures: response.Signatures) -> None:
        self.calls: dict[int, int] = {}
        """Index of each call, by part."""
        self.live: set[int] = set()
        """The open parts but for calls."""
        self.signatures = signatures
        self.texts: list[int] = []
        """The parts whose text is the content."""
        self.citations: list[Citation] = []
        self.group: int | None = None
        """The item of the last reasoning part."""


class Writer(BaseWriter):
    """Parts of several choices may be open; every delta goes out as it comes."""

    dialect: ClassVar[str] = "openai-chat"

    def __init__(self, context: Context, losses: Losses, parts: Callable[[int], Part]) -> None:
        super().__init__(context, losses, parts)
        self._base: dict[str, Any] = {}
        self._choices: dict[int, _Choice] = {}
        self._starts: dict[int, PartStart] = {}  # of the parts that have a place here
        self._boundaries: set[int] = set()  # reasoning parts whose text goes on from another part's
        self._late: set[int] = set()  # reasoning parts without text by now that begin after other parts
        self._ended: set[int] = set()
        self._signatures: dict[int, Signature] = {}  # of reasoning: the last one counts, so it waits for the end
        self._usage: Usage | None = None
        self._order = response.Order(losses)
        self._reasoning_fields = response.reasoning_fields(context)
        self._xml = context.reasoning == "thinking-xml"

    def on_start(self, event: StreamStart) -> None:
        self._base = response.envelope(event, self.context, "chat.completion.chunk")
        self._note_usage(event.usage)
        self._choice(0)

    def on_part(self, event: PartStart) -> None:
        response.report(event, self.losses)
        if not response.places(event):
            return
        if event.kind == "reasoning" and self._order.late(event):
            self._late.add(event.part)
        else:
            self._order.see(event)
        choice = self._choice(event.choice)
        self._starts[event.part] = event
        for open_part in choice.live:  # a reader ends it where another part begins
            self.losses.add("order", open_part, f"{self._starts[open_part].kind} that other parts interrupt")
        if event.kind not in ("tool", "custom_tool"):
            choice.live.add(event.part)
        if event.kind in ("tool", "custom_tool"):
            index = choice.calls[event.part] = len(choice.calls)
            function = {"name": response.name(event), "arguments": ""}
            call = {"index": index, "id": event.id, "type": "function", "function": function}
            self._chunk(event.choice, {"tool_calls": [call | choice.signatures.of_call()]})
            if event.kind == "tool":
                self._stream(event, {"tool_calls": [{"index": index, "function": {"arguments": Hole.TEXT}}]})
            else:
                self._arguments(event, '{"input":"')
        elif event.kind in response.TEXT_FIELDS:
            if event.kind == "text":
                choice.texts.append(event.part)
            self._stream(event, {response.TEXT_FIELDS[event.kind]: Hole.TEXT})
        elif event.kind == "reasoning":
            self._start_reasoning(choice, event)
        elif event.kind in ("audio", "image"):
            own = event.meta[self.dialect]
            self._chunk(event.choice, {"audio": own["audio"]} if "audio" in own else {"images": [own["image"]]})

    def _start_reasoning(self, choice: _Choice, event: PartStart) -> None:
        if event.group is not None and event.group == choice.group:
            self._boundaries.add(event.part)
        elif len(self._reasoning_fields) == 1 and event.part not in self._late:
            self._stream(event, {self._reasoning_fields[0]: Hole.TEXT})
        elif not self._reasoning_fields and not self._xml:
            self.losses.add("part", event.part, "reasoning")
        choice.group = event.group

    def on_delta(self, event: Delta) -> None:
        start = self._starts.get(event.part)
        if start is None:
            return
        if start.kind == "custom_tool":
            for text in event.texts:
                self._arguments(start, dumps(text)[1:-1].decode("utf-8", "surrogatepass"))
        elif start.kind == "reasoning":
            if event.logprobs:
                self.losses.add("logprobs", event.part, "log probabilities of reasoning")
            self._reason(start, event.texts)
        else:
            field = response.TEXT_FIELDS.get(start.kind, "")
            if field:
                logprobs = {"content": None, "refusal": None} | {field: event.logprobs}
                self._chunk(start.choice, {field: "".join(event.texts)}, logprobs=logprobs)
            else:
                self.losses.add("logprobs", event.part, f"log probabilities of {start.kind}")
                self.out.append(self.encode_texts(event.part, event.texts))

    def _reason(self, start: PartStart, texts: list[str]) -> None:
        """Reasoning that is late, or goes on from another part of its item, or into two fields, or nowhere."""
        fields = self._reasoning_fields
        if start.part in self._late:
            self._late.discard(start.part)
            self._order.see(start)
        if not fields:
            return
        if start.part in self._boundaries:
            self._boundaries.discard(start.part)
            self.losses.add("boundary", start.part, "two reasoning parts of one item")
            self._chunk(start.choice, dict.fromkeys(fields, "\n\n"))
        for text in texts:
            self._chunk(start.choice, dict.fromkeys(fields, text))
        if len(fields) == 1:
            self._stream(start, {fields[0]: Hole.TEXT})

    def on_signature(self, event: Signature) -> None:
        start = self._starts.get(event.part)
        if start is None:
            self.losses.add("signature", event.part, f"{event.scheme} signature")
            return
        if start.kind in ("reasoning", "redacted") and event.part not in self._ended:
            self._signatures[event.part] = event
            return
        if start.kind == "tool" and response.has_place(event):
            index = self._choices[start.choice].calls[event.part]
            call = {"index": index, "function": {"arguments": ""}} | response.on_call(event)
            self._chunk(start.choice, {"tool_calls": [call]})
        elif start.kind in ("reasoning", "redacted") and event.part not in self._signatures:
            self._signatures[event.part] = event
            self._sign(start, event)
        else:
            self.losses.add("signature", event.part, f"{event.scheme} signature on {start.kind}")

    def _sign(self, start: PartStart, signature: Signature) -> None:
        choice = self._choices[start.choice]
        if choice.calls:
            response.report_late(signature, self.losses)
        text = self.part(start.part).text
        fields = choice.signatures.of_reasoning(start, signature, text)
        if fields:
            self._chunk(start.choice, fields)

    def _sign_rest(self, number: int, choice: _Choice) -> None:
        fields = choice.signatures.left()
        if fields:
            self._chunk(number, fields)

    def on_citation(self, event: Citation) -> None:
        start = self._starts.get(event.part)
        if start is not None:
            self._choices[start.choice].citations.append(event)

    def on_part_end(self, event: PartEnd) -> None:
        start = self._starts.get(event.part)
        self.stop_streaming(event.part)
        self._ended.add(event.part)
        if start is None:
            return
        self._choices[start.choice].live.discard(event.part)
        if start.kind == "custom_tool":
            self._arguments(start, '"}')
        else:
            self._end_reasoning(start)

    def _end_reasoning(self, start: PartStart) -> None:
        """What waits for the end of a part: its signature, or all of it as an element."""
        signature = self._signatures.get(start.part)
        if start.kind == "reasoning" and self._xml and (signature is None or signature.signs == "part"):
            self._think(start)
        elif signature is not None:
            self._sign(start, signature)

    def _think(self, start: PartStart) -> None:
        part = self.part(start.part)
        part.signature = self._signatures.get(start.part)
        if part.text or part.signature:
            self._chunk(start.choice, {"content": response.thinking_element(part)})

    def on_usage(self, event: UsageUpdate) -> None:
        self._note_usage(event.usage)

    def _note_usage(self, counted: Usage | None) -> None:
        self._usage = counted
        if counted is not None:
            usage.report(counted, self.losses)

    def on_finish(self, event: Finish) -> None:
        choice = self._choice(event.choice)
        reason = response.finish_reason(event, bool(choice.calls), self.losses)
        empty = response.no_arguments(event)
        for number in choice.calls if empty else ():
            start = self._starts[number]
            if start.kind == "tool" and not self.part(number).text:
                self._arguments(start, empty)
        self._sign_rest(event.choice, choice)
        annotations = response.annotations(choice.citations, choice.texts, self.part, self.losses)
        if annotations:  # one list: the official Python helper can't join two
            self._chunk(event.choice, {"annotations": annotations})
        self._chunk(event.choice, {}, reason)

    def on_end(self, event: StreamEnd) -> None:
        if self.context.include_usage and self._usage is not None:
            self.frame({**self._base, "choices": [], "usage": usage.write(self._usage)})
        self.out.append(b"data: [DONE]\n\n")

    def on_error(self, event: StreamError) -> None:
        for index, choice in self._choices.items():
            for number in sorted(choice.live):
                self._end_reasoning(self._starts[number])
            self._sign_rest(index, choice)
        self.frame(errors.write(event))

    def on_ping(self, event: Ping) -> None:
        self.out.append(b": ping\n\n")

    def on_opaque(self, event: Opaque) -> None:
        self.losses.add("opaque", event.part, f"{event.source}: {', '.join(event.payload)}")

    def _choice(self, number: int) -> _Choice:
        """The choice, whose first chunk carries the role."""
        choice = self._choices.get(number)
        if choice is None:
            choice = self._choices[number] = _Choice(response.Signatures(self.context, self.losses))
            self._chunk(number, {"role": "assistant", "content": ""})
        return choice

    def _stream(self, start: PartStart, delta: dict[str, Any]) -> None:
        self.stream_into(start.part, self._payload(start.choice, delta))

    def _arguments(self, start: PartStart, text: str) -> None:
        index = self._choices[start.choice].calls[start.part]
        self._chunk(start.choice, {"tool_calls": [{"index": index, "function": {"arguments": text}}]})

    def _chunk(self, number: int, delta: dict[str, Any], finish: str | None = None, logprobs: Any = None) -> None:
        self.frame(self._payload(number, delta, finish, logprobs))

    def _payload(
        self, number: int, delta: dict[str, Any], finish: str | None = None, logprobs: Any = None
    ) -> dict[str, Any]:
        choice = {"index": number, "delta": delta, "logprobs": logprobs, "finish_reason": finish}
        return {**self._base, "choices": [choice], **({"usage": None} if self.context.include_usage else {})}
