"""Reads what a translator wrote, by the letter: whatever a client of that dialect may trip over is an assertion.

Nothing of the library is used here, so that a fault is not excused by its own reader. What was said comes out as the
same tuples for every dialect: `("text", text)`, `("reasoning", text)`, `("refusal", text)`, `("redacted", data)`,
`("tool", call id, name, arguments)`, `("custom", call id, name, input)`, `("other", type)`; and for Gemini, which signs
calls and texts too, `("signed", what, signature)` in its place.
"""

import json
import re
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from ccproxy import Translator

Json = dict[str, Any]
Said = tuple[str, ...]


class Frame(NamedTuple):
    event: str
    data: Any
    """The JSON value, or "[DONE]"."""


@dataclass
class Reading:
    """One stream, read."""

    raw: bytes
    frames: list[Frame]
    pings: int
    """Ping events, or comments where the dialect has no such event."""
    said: list[Said] = field(default_factory=list)
    signatures: list[str] = field(default_factory=list)
    """One for each reasoning in `said`; "" if it has none."""
    finish: str | None = None
    """The dialect's own word; for Responses the reason of an incomplete response, else its status."""
    usage: Json | None = None
    error: Json | None = None
    """The error object that ends the stream."""

    @property
    def tools(self) -> list[Said]:
        return [part for part in self.said if part[0] == "tool"]

    def joined(self, kind: str) -> str:
        return "".join(part[1] for part in self.said if part[0] == kind)

    def events(self, name: str) -> list[Json]:
        """The payloads of the frames with this event name."""
        return [frame.data for frame in self.frames if frame.event == name]


class Output:
    """A reading and the translator that caused it."""

    def __init__(self, reading: Reading, translator: Translator) -> None:
        self.reading = reading
        self.translator = translator
        self.raw = reading.raw
        self.frames = reading.frames
        self.pings = reading.pings
        self.said = reading.said
        self.tools = reading.tools
        self.signatures = reading.signatures
        self.finish = reading.finish
        self.usage = reading.usage
        self.error = reading.error
        self.joined = reading.joined
        self.events = reading.events


def read(dialect: str, raw: bytes) -> Reading:
    """Read a whole stream; it must be legal to its end."""
    assert raw.endswith(b"\n\n")
    frames, comments = split(raw)
    reading = Reading(raw, frames, comments)
    _READ[dialect](reading)
    return reading


def split(raw: bytes) -> tuple[list[Frame], int]:
    """The frames and the number of comments. Only the plainest form is taken: every client can read that."""
    frames: list[Frame] = []
    comments = 0
    for block in raw.decode("utf-8").split("\n\n")[:-1]:
        if re.fullmatch(r":[^\r\n]*", block):
            comments += 1
            continue
        match = re.fullmatch(r"(?:event: ([a-z_.]+)\n)?data: ([^\r\n]+)", block)
        assert match, block
        frames.append(Frame(match[1] or "", "[DONE]" if match[2] == "[DONE]" else json.loads(match[2])))
    return frames, comments


def deltas(raw: bytes) -> list[str]:
    """The texts of all deltas in a piece of a stream, in any dialect; empty ones are left out."""
    out: list[str] = []
    for event, data in split(raw)[0]:
        if event == "content_block_delta":
            delta = data["delta"]
            out += [delta.get("text") or delta.get("thinking") or delta.get("partial_json") or ""]
        elif event.endswith(".delta"):
            out.append(data["delta"])
        elif not event and data != "[DONE]":
            for choice in data.get("choices", []):
                delta = choice["delta"]
                out += [delta.get(name) or "" for name in ("reasoning_content", "content", "refusal")]
                out += [call.get("function", {}).get("arguments") or "" for call in delta.get("tool_calls", [])]
    return [text for text in out if text]


# -- Anthropic --------------------------------------------------------------------------------------------------------

_TEXTS: Final = {
    "text": ("text_delta", "text"),
    "thinking": ("thinking_delta", "thinking"),
    "tool_use": ("input_json_delta", "partial_json"),
    "server_tool_use": ("input_json_delta", "partial_json"),
}
_SHAPES: Final = {
    "text": {"type", "text"},
    "thinking": {"type", "thinking", "signature"},
    "redacted_thinking": {"type", "data"},
    "tool_use": {"type", "id", "name", "input"},
}


def _read_anthropic(reading: Reading) -> None:
    block: Json | None = None
    text = signature = ""
    begun = 0
    stopped = False
    last = len(reading.frames) - 1
    for position, (event, data) in enumerate(reading.frames):
        assert event and data["type"] == event
        if event == "error":
            assert position == last
            assert set(data["error"]) >= {"type", "message"}
            reading.error = data["error"]
            _say_block(reading, block, text, signature)
            return
        assert (event == "message_start") == (position == 0), event
        if event == "message_start":
            message = data["message"]
            assert message["content"] == [] and message["role"] == "assistant" and message["type"] == "message"
            assert message["stop_reason"] is None and message["id"].startswith("msg_")
            assert type(message["usage"]["input_tokens"]) is type(message["usage"]["output_tokens"]) is int
        elif event == "content_block_start":
            assert block is None and not stopped
            assert data["index"] == begun
            begun += 1
            block = data["content_block"]
            assert set(block) == _SHAPES.get(block["type"], set(block))
            assert block.get("text", "") == block.get("thinking", "") == "" and not block.get("input")
            text = signature = ""
        elif event == "content_block_delta":
            assert block is not None and data["index"] == begun - 1
            delta = data["delta"]
            if delta["type"] == "signature_delta":
                assert block["type"] == "thinking" and not signature and delta["signature"]
                signature = delta["signature"]
            elif delta["type"] != "citations_delta":
                kind, key = _TEXTS[block["type"]]
                assert delta["type"] == kind and not signature
                text += delta[key]
        elif event == "content_block_stop":
            assert block is not None and data["index"] == begun - 1
            _say_block(reading, block, text, signature)
            block = None
        elif event == "message_delta":
            assert block is None and not stopped
            stopped = True
            reading.finish = data["delta"]["stop_reason"]
            assert reading.finish
            reading.usage = data["usage"]
            assert type(data["usage"]["output_tokens"]) is int
        elif event == "message_stop":
            assert stopped and position == last
        else:
            assert event == "ping"
            reading.pings += 1
    assert reading.frames[-1].event == "message_stop"


def _say_block(reading: Reading, block: Json | None, text: str, signature: str) -> None:
    if block is None:
        return
    kind = block["type"]
    if kind == "text":
        reading.said.append(("text", text))
    elif kind == "thinking":
        reading.said.append(("reasoning", text))
        reading.signatures.append(signature or block["signature"])
    elif kind == "redacted_thinking":
        reading.said.append(("redacted", block["data"]))
    elif kind == "tool_use":
        assert block["id"] and block["name"]
        reading.said.append(("tool", block["id"], block["name"], text or "{}"))
    else:
        reading.said.append(("other", kind))


# -- Chat Completions -------------------------------------------------------------------------------------------------


def _read_chat(reading: Reading) -> None:
    runs: list[tuple[str, list[str]]] = []  # (kind, pieces); a call: ("tool", [id, name, *pieces])
    calls: list[list[str]] = []
    head: tuple[Any, ...] | None = None
    spoken = False
    last = len(reading.frames) - 1
    for position, (event, data) in enumerate(reading.frames):
        assert not event
        if data == "[DONE]":
            assert position == last and reading.finish
            continue
        if "error" in data:
            assert position == last and set(data["error"]) >= {"message", "type", "code"}
            reading.error = data["error"]
            assert reading.error["code"] is None or isinstance(reading.error["code"], str)
            continue
        assert data["object"] == "chat.completion.chunk"
        assert (head := head or (data["id"], data["created"], data["model"])) == (
            data["id"],
            data["created"],
            data["model"],
        )
        assert reading.usage is None
        reading.usage = data.get("usage")
        assert (reading.usage is None) == bool(data["choices"])
        for choice in data["choices"]:
            assert choice["index"] == 0 and reading.finish is None
            reading.finish = choice["finish_reason"]
            assert reading.finish != ""
            delta = choice["delta"]
            assert reading.finish is None or delta == {}
            assert ("role" in delta) != spoken or reading.finish
            if not spoken:
                assert delta["role"] == "assistant"
            spoken = True
            _read_chat_delta(reading, delta, runs, calls)
    if reading.error is None:
        assert reading.frames[-1].data == "[DONE]"
    for kind, pieces in runs:
        if kind == "tool":
            reading.said.append(("tool", *pieces[:2], "".join(pieces[2:])))
        else:
            reading.said.append((kind, "".join(pieces)))


_CHAT_TEXTS: Final = {"reasoning_content": "reasoning", "content": "text", "refusal": "refusal"}
_CHAT_OTHERS: Final = (
    "tool_calls",
    "reasoning_details",
    "thinking_blocks",
    "annotations",
    "images",
    "audio",
    "extra_content",
)


def _read_chat_delta(reading: Reading, delta: Json, runs: list[tuple[str, list[str]]], calls: list[list[str]]) -> None:
    assert not set(delta) - {"role", *_CHAT_TEXTS, *_CHAT_OTHERS}
    for key, kind in _CHAT_TEXTS.items():
        if delta.get(key):
            if not runs or runs[-1][0] != kind:
                runs.append((kind, []))
                if kind == "reasoning":
                    reading.signatures.append("")
            runs[-1][1].append(delta[key])
    for call in delta.get("tool_calls", []):
        function = call["function"]
        assert isinstance(function["arguments"], str)
        assert 0 <= call["index"] <= len(calls)
        if call["index"] == len(calls):
            assert call["id"] and call["type"] == "function" and function["name"]
            calls.append([call["id"], function["name"]])
            runs.append(("tool", calls[-1]))
        else:
            assert set(call) - {"extra_content"} == {"index", "function"} and set(function) == {"arguments"}
        calls[call["index"]].append(function["arguments"])
    for detail in delta.get("reasoning_details", []):
        if detail["type"] == "reasoning.encrypted":
            runs.append(("redacted", [detail["data"]]))
        elif detail.get("signature"):
            text = "".join(runs[-1][1] if runs and runs[-1][0] == "reasoning" else [])
            assert text.endswith(detail.get("text", ""))
            if "text" in detail:  # not the first, and nothing else in the run tells where it began
                reading.signatures.append("")
            _sign(reading, detail["signature"])
    for block in delta.get("thinking_blocks", []):
        if block["type"] == "redacted_thinking":
            runs.append(("redacted", [block["data"]]))
        else:
            assert block["thinking"] == "".join(runs[-1][1] if runs and runs[-1][0] == "reasoning" else [])
            _sign(reading, block["signature"])


def _sign(reading: Reading, signature: str) -> None:
    reading.signatures = reading.signatures or [""]
    assert not reading.signatures[-1]
    reading.signatures[-1] = signature


# -- Responses --------------------------------------------------------------------------------------------------------

_RESPONSE: Final = {
    "id",
    "object",
    "created_at",
    "status",
    "model",
    "output",
    "parallel_tool_calls",
    "tool_choice",
    "tools",
    "error",
    "incomplete_details",
    "usage",
    "metadata",
    "instructions",
    "temperature",
    "top_p",
}
_TERMINALS: Final = {f"response.{status}": status for status in ("completed", "incomplete", "failed")}
_PART_TEXTS: Final = {"output_text": "text", "reasoning_text": "text", "summary_text": "text", "refusal": "refusal"}
_PART_EVENTS: Final = {
    "output_text": ("response.content_part", "response.output_text", "content_index"),
    "reasoning_text": ("response.content_part", "response.reasoning_text", "content_index"),
    "refusal": ("response.content_part", "response.refusal", "content_index"),
    "summary_text": ("response.reasoning_summary_part", "response.reasoning_summary_text", "summary_index"),
}
_CALL_TEXTS: Final = {
    "function_call": ("response.function_call_arguments", "arguments"),
    "custom_tool_call": ("response.custom_tool_call_input", "input"),
}
_PREFIXES: Final = {"message": "msg_", "reasoning": "rs_", "function_call": "fc_", "custom_tool_call": "ctc_"}


@dataclass
class _Item:
    """An output item that has been added and not done."""

    index: int
    item: Json
    parts: list[Json] = field(default_factory=list)
    """Content parts that are done, in order."""
    part: Json | None = None
    """The open part, as added."""
    part_done: bool = False
    """Whether its text is done."""
    text: str = ""
    annotations: list[Any] = field(default_factory=list)
    dones: int = 0
    """How often the call's text was done."""

    def see(self, event: str, data: Json) -> None:
        assert data["output_index"] == self.index
        assert data["item_id"] == self.item["id"]
        kind = self.item["type"]
        if kind in _CALL_TEXTS:
            self._see_call(event, data, *_CALL_TEXTS[kind])
        elif kind in ("message", "reasoning"):
            self._see_part(event, data)

    def _see_call(self, event: str, data: Json, name: str, key: str) -> None:
        assert not self.dones
        if event == f"{name}.delta":
            self.text += data["delta"]
        else:
            assert event == f"{name}.done"
            assert data[key] == self.text
            self.dones += 1

    def _see_part(self, event: str, data: Json) -> None:
        if event.endswith("_part.added"):
            assert self.part is None
            self.part = data["part"]
            self.text, self.part_done, self.annotations = "", False, []
        assert self.part is not None
        kind = self.part["type"]
        part, text, index = _PART_EVENTS[kind]
        key = _PART_TEXTS[kind]
        assert data[index] == len([done for done in self.parts if _PART_EVENTS[done["type"]][2] == index])
        if event == f"{part}.added":
            assert self.part[key] == ""
            assert kind != "output_text" or self.part["annotations"] == [] == self.part["logprobs"]
        elif event == f"{text}.delta":
            assert not self.part_done
            assert kind != "output_text" or isinstance(data["logprobs"], list)
            self.text += data["delta"]
        elif event == "response.output_text.annotation.added":
            assert data["annotation_index"] == len(self.annotations)
            self.annotations.append(data["annotation"])
        elif event == f"{text}.done":
            assert not self.part_done and data[key] == self.text
            assert kind != "output_text" or isinstance(data["logprobs"], list)
            self.part_done = True
        else:
            assert event == f"{part}.done" and self.part_done
            assert data["part"]["type"] == kind and data["part"][key] == self.text
            assert kind != "output_text" or data["part"]["annotations"] == self.annotations
            self.parts.append(data["part"])
            self.part = None

    def finish(self, done: Json) -> None:
        item = self.item
        assert self.part is None
        for key in ("id", "type", "role", "call_id", "name"):
            assert done.get(key) == item.get(key)
        if item["type"] in _CALL_TEXTS:
            assert self.dones == 1
            assert done[_CALL_TEXTS[item["type"]][1]] == self.text
        elif item["type"] == "message":
            assert done["content"] == self.parts
        elif item["type"] == "reasoning":
            assert done["summary"] + (done.get("content") or []) == self.parts
        if item["type"] != "reasoning":
            assert item["status"] == "in_progress" and done["status"] in ("completed", "incomplete", "failed")


def _read_responses(reading: Reading) -> None:
    items: list[Json] = []
    open_item: _Item | None = None
    last = len(reading.frames) - 1
    name = ""
    for position, (event, data) in enumerate(reading.frames):
        assert event and data["type"] == event
        assert data["sequence_number"] == position
        if event == "error":
            assert position == last - 1 and reading.frames[last].event == "response.failed"
            assert set(data["error"]) >= {"type", "code", "message", "param"}
            reading.error = data["error"]
            continue
        assert (event == "response.created") == (position == 0)
        if "response" in data:
            response = data["response"]
            assert set(response) >= _RESPONSE
            assert response["object"] == "response" and response["id"].startswith("resp_")
            assert (name := name or response["id"]) == response["id"]
        if position < 2 and last > 1 and reading.error is None:
            assert event == ("response.created", "response.in_progress")[position]
            assert data["response"]["status"] == "in_progress" and data["response"]["output"] == []
            assert data["response"]["usage"] is None
        elif event in _TERMINALS:
            assert position == last
            _read_terminal(reading, data["response"], _TERMINALS[event], items, open_item)
        elif event == "response.output_item.added":
            assert open_item is None and data["output_index"] == len(items)
            item = data["item"]
            assert item["id"].startswith(_PREFIXES.get(item["type"], ""))
            assert item.get("content", []) == [] and item.get("summary", []) == [] and not item.get("arguments")
            open_item = _Item(len(items), item)
        elif event == "response.output_item.done":
            assert open_item is not None and data["output_index"] == len(items)
            open_item.finish(data["item"])
            items.append(data["item"])
            _say_item(reading, data["item"])
            open_item = None
        else:
            assert open_item is not None, event
            open_item.see(event, data)
    assert reading.frames[-1].event in _TERMINALS


def _read_terminal(reading: Reading, response: Json, status: str, items: list[Json], open_item: _Item | None) -> None:
    assert response["status"] == status
    reading.usage = response["usage"]
    if reading.usage is not None:
        assert isinstance(reading.usage["input_tokens_details"]["cached_tokens"], int)
        assert isinstance(reading.usage["output_tokens_details"]["reasoning_tokens"], int)
        assert reading.usage["total_tokens"] == reading.usage["input_tokens"] + reading.usage["output_tokens"]
    if status == "failed":
        assert reading.error is not None and response["error"]["message"] == reading.error["message"]
        if open_item is not None:
            _say_open(reading, open_item)
        return
    assert reading.error is None and response["error"] is None and open_item is None
    assert response["output"] == items
    if status == "incomplete":
        reading.finish = response["incomplete_details"]["reason"]
    else:
        assert response["incomplete_details"] is None
        reading.finish = status


def _say_item(reading: Reading, item: Json) -> None:
    kind = item["type"]
    if kind == "message":
        for part in item["content"]:
            name = "refusal" if part["type"] == "refusal" else "text"
            reading.said.append((name, part[_PART_TEXTS[part["type"]]]))
    elif kind == "reasoning":
        parts = item["summary"] + (item.get("content") or [])
        sealed = item.get("encrypted_content") or ""
        reading.said += [("reasoning", part["text"]) for part in parts]
        if parts:
            reading.signatures += ["" for _ in parts[1:]] + [sealed]
        else:
            reading.said.append(("redacted", sealed))
    elif kind in _CALL_TEXTS:
        name = "tool" if kind == "function_call" else "custom"
        reading.said.append((name, item["call_id"], item["name"], item[_CALL_TEXTS[kind][1]]))
    else:
        reading.said.append(("other", kind))


def _say_open(reading: Reading, item: _Item) -> None:
    """What had been said of an item when the stream failed."""
    kind = item.item["type"]
    for part in item.parts:
        reading.said.append(("refusal" if part["type"] == "refusal" else "text", part[_PART_TEXTS[part["type"]]]))
    if kind in _CALL_TEXTS:
        name = "tool" if kind == "function_call" else "custom"
        reading.said.append((name, item.item["call_id"], item.item["name"], item.text))
    elif item.part is not None:
        name = "reasoning" if kind == "reasoning" else "refusal" if item.part["type"] == "refusal" else "text"
        reading.said.append((name, item.text))


# -- Gemini -----------------------------------------------------------------------------------------------------------

_PARTS: Final = {"text", "thought", "thoughtSignature", "functionCall"}


def _read_gemini(reading: Reading) -> None:
    last = len(reading.frames) - 1
    assert not reading.pings
    runs: list[tuple[str, list[str]]] = []
    for position, (event, data) in enumerate(reading.frames):
        assert not event and data != "[DONE]"
        assert reading.raw.startswith(b"data: ")
        if "error" in data:
            assert position == last and list(data) == ["error"]
            reading.error = data["error"]
            assert set(data["error"]) >= {"code", "message", "status"}
            continue
        assert data["responseId"] and "modelVersion" in data
        assert ("usageMetadata" in data) <= (position == last)
        reading.usage = data.get("usageMetadata")
        for candidate in data.get("candidates", []):
            assert candidate["index"] == 0 and reading.finish is None
            reading.finish = candidate.get("finishReason")
            assert reading.finish is None or position == last
            for part in candidate["content"]["parts"]:
                _read_gemini_part(part, runs)
    assert reading.error is not None or reading.finish is not None
    for kind, pieces in runs:
        reading.said.append((kind, *pieces) if kind in ("tool", "signed") else (kind, "".join(pieces)))


def _read_gemini_part(part: Json, runs: list[tuple[str, list[str]]]) -> None:
    assert part.keys() <= _PARTS
    signature = part.get("thoughtSignature")
    assert signature is None or re.fullmatch(r"[\w+/-]+={0,2}", signature)
    if "functionCall" in part:
        call = part["functionCall"]
        assert call["name"] and isinstance(call["args"], dict) and call.keys() <= {"name", "args", "id"}
        if signature:
            runs.append(("signed", ["call", signature]))
        arguments = json.dumps(call["args"], ensure_ascii=False, separators=(",", ":"))
        runs.append(("tool", [call.get("id", ""), call["name"], arguments]))
        return
    kind = "reasoning" if part.get("thought") else "text"
    if part["text"]:
        if not runs or runs[-1][0] != kind:
            runs.append((kind, []))
        runs[-1][1].append(part["text"])
    if signature:
        runs.append(("signed", [kind, signature]))


_READ: Final = {
    "anthropic": _read_anthropic,
    "gemini": _read_gemini,
    "openai-chat": _read_chat,
    "openai-responses": _read_responses,
}
