"""Bugs that were found by use, each as a case: what broke, and what is right."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from ccproxy import MisuseError, Translator, atranslate, collect, translate

Json = dict[str, Any]
DONE = b"data: [DONE]\n\n"


def chunk(delta: Json, choice: int = 0, finish: str | None = None, **extra: Any) -> bytes:
    choices = [{"index": choice, "delta": delta, "finish_reason": finish}]
    head = {"id": "chatcmpl-found", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    return b"data: " + json.dumps({**head, "choices": choices, **extra}).encode() + b"\n\n"


def call(index: int, arguments: str, id: str = "", name: str = "", choice: int = 0, **extra: Any) -> bytes:
    function = {"arguments": arguments} | ({"name": name} if name else {})
    head = {"id": id, "type": "function"} if id else {}
    return chunk({"tool_calls": [{"index": index, **head, "function": function, **extra}]}, choice)


def outputs(frames: list[bytes], source: str, target: str, **options: Any) -> tuple[bytes, bytes]:
    """Fed whole, and frame by frame."""
    whole, single = (Translator(source, target, **options) for _ in range(2))
    one = whole.feed(b"".join(frames)) + whole.close()
    other = b"".join([single.feed(frame) for frame in frames]) + single.close()
    assert str(whole.error) == str(single.error)
    assert whole.losses == single.losses
    return one, other


def test_nothing_follows_an_error_in_the_lane() -> None:
    frames = [call(0, "{", "a", "f"), call(1, "{", "b", "g"), *(call(1, "x" * 10) for _ in range(20))]
    one, other = outputs(frames, "openai-chat", "anthropic", max_waiting=60)
    assert one == other
    assert one.count(b"event: error") == 1
    assert json.loads(one.rsplit(b"data: ", 1)[1])["type"] == "error"
    assert one.count(b"xxxxxxxxxx") == 5  # what fitted is delivered


@pytest.mark.parametrize("cut", [False, True])
def test_merged_choices_finish_one_by_one(cut: bool) -> None:
    frames = [chunk({"content": "a"}), call(0, "", "c", "f", 1), chunk({}, 0, "stop"), call(0, '{"a":1}', choice=1)]
    frames += [] if cut else [chunk({}, 1, "tool_calls"), DONE]
    one, other = outputs(frames, "openai-chat", "anthropic", choices="merge")
    assert one == other
    assert (b"event: error" in one) == cut
    if not cut:
        body = collect(b"".join(frames), "openai-chat", "anthropic", choices="merge")
        assert body["stop_reason"] == "tool_use"
        assert body["content"][1]["input"] == {"a": 1}


@pytest.mark.parametrize("tail", [b'data: {"usa', b"d", b"eve", b"data: ", b": hal"])
def test_a_half_frame_after_the_finish_is_dropped(tail: bytes) -> None:
    whole = chunk({"content": "a"}) + chunk({}, finish="stop")
    translator = Translator("openai-chat", "openai-chat")
    assert translator.feed(whole + tail) + translator.close() == whole
    assert translator.error is None


def test_after_the_end_nothing_is_held() -> None:
    translator = Translator("openai-chat", "openai-chat", max_frame=1000)
    translator.feed(chunk({"content": "a"}) + chunk({}, finish="stop") + DONE)
    assert translator.feed(b"x" * 5000) == b"x" * 5000


def test_a_large_delta_is_too_large_in_the_lane_too() -> None:
    frames = [chunk({"content": "a"}), chunk({"content": "b"}), chunk({"content": "c"}), chunk({"content": "x" * 2000})]
    one, other = outputs(frames, "openai-chat", "anthropic", max_frame=1000)
    assert one == other
    assert b"request_too_large" in one


def test_log_probabilities_of_arguments_do_not_wipe_the_output() -> None:
    item = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "f", "arguments": ""}
    events: list[Json] = [
        {"type": "response.created", "response": {"id": "resp_1", "model": "m"}},
        {"type": "response.output_item.added", "output_index": 0, "item": item},
        {
            "type": "response.function_call_arguments.delta",
            "output_index": 0,
            "delta": "{}",
            "logprobs": [{"token": "{}"}],
        },
        {"type": "response.output_item.done", "output_index": 0, "item": item | {"arguments": "{}"}},
        {"type": "response.completed", "response": {"id": "resp_1", "status": "completed", "output": []}},
    ]
    frames = [b"data: " + json.dumps(event).encode() + b"\n\n" for event in events]
    one, other = outputs(frames, "openai-responses", "openai-chat")
    assert one == other
    assert b'"name":"f"' in one


def test_a_null_custom_tool_is_a_function() -> None:
    data = call(0, '{"a":1}', "call_1", "f", custom=None) + chunk({}, finish="tool_calls") + DONE
    assert collect(data, "openai-chat")["choices"][0]["message"]["tool_calls"][0]["function"]["name"] == "f"


@pytest.mark.parametrize("id", ["nullable_1", "functions.get_weather:0", "ключ"])
def test_call_ids_come_back(id: str) -> None:
    data = call(0, "{}", id, "f") + chunk({}, finish="tool_calls") + DONE
    there = b"".join(translate(data, "openai-chat", "anthropic"))
    carried = json.loads(there.split(b"data: ")[2].split(b"\n")[0])["content_block"]["id"]
    assert all(character.isascii() and (character.isalnum() or character in "_-") for character in carried)
    back = collect(there, "anthropic", "openai-chat")
    assert back["choices"][0]["message"]["tool_calls"][0]["id"] == id


def test_unknown_blocks_with_arguments_pass() -> None:
    events: list[Json] = [
        {"type": "message_start", "message": {"id": "msg_1", "model": "m", "usage": {"input_tokens": None}}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "new_tool_use", "input": {"a": 1}}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": "{"}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 1}},
        {"type": "message_stop"},
    ]
    frames = [f"event: {e['type']}\ndata: {json.dumps(e)}\n\n".encode() for e in events]
    untouched, _ = outputs(frames, "anthropic", "anthropic")
    assert untouched == b"".join(frames)
    written, other = outputs(frames, "anthropic", "anthropic", normalize=True)
    assert written == other
    assert b"new_tool_use" in written
    assert b'"input_tokens":0' in written


@pytest.mark.parametrize("kind", [bytearray, memoryview])
def test_any_buffer_is_bytes(kind: Any) -> None:
    data = chunk({"content": "a"}) + chunk({}, finish="stop") + DONE
    assert b"".join(translate(kind(data), "openai-chat", "anthropic")).endswith(b'{"type":"message_stop"}\n\n')


@pytest.mark.parametrize("data", ["text", 5, None])
def test_what_is_not_bytes_is_refused(data: Any) -> None:
    with pytest.raises(MisuseError, match="bytes"):
        Translator("openai-chat", "anthropic").feed(data)


@pytest.mark.parametrize(
    "options",
    [{"max_frame": 0}, {"reasoning": "loud"}, {"quirks": "think-tags"}, {"quirks": ["none"]}, {"choices": "all"}],
)
def test_wrong_options_are_refused(options: Any) -> None:
    with pytest.raises(MisuseError):
        Translator("openai-chat", "anthropic", **options)


def test_closing_the_translation_closes_the_source() -> None:
    closed: list[bool] = []

    async def source() -> AsyncIterator[bytes]:
        try:
            yield chunk({"content": "a"})
            yield chunk({"content": "b"})
        finally:
            closed.append(True)

    async def read_one() -> None:
        out = atranslate(source(), "openai-chat", "anthropic")
        await anext(out)
        await out.aclose()  # type: ignore[attr-defined]

    asyncio.run(read_one())
    assert closed == [True]


def test_what_unnumbered_deltas_said_is_not_said_again_at_the_end() -> None:
    """Where the frames differ in their text alone they are read another way, which must remember the text as well."""
    pieces = [f"piece {number} " for number in range(60)]
    item = {"id": "msg_1", "type": "message", "role": "assistant", "content": [], "status": "in_progress"}
    part = {"type": "output_text", "text": "", "annotations": []}
    place = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    whole = part | {"text": "".join(pieces)}
    done = item | {"content": [whole], "status": "completed"}
    answer = {"id": "resp_1", "object": "response", "model": "m", "output": [], "status": "in_progress"}
    events: list[Json] = [
        {"type": "response.created", "response": answer},
        {"type": "response.output_item.added", "output_index": 0, "item": item},
        {"type": "response.content_part.added", **place, "part": part},
        *({"type": "response.output_text.delta", **place, "delta": piece} for piece in pieces),
        {"type": "response.output_text.done", **place, "text": "".join(pieces)},
        {"type": "response.content_part.done", **place, "part": whole},
        {"type": "response.output_item.done", "output_index": 0, "item": done},
        {"type": "response.completed", "response": answer | {"status": "completed", "output": [done]}},
    ]
    frames = [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in events]
    one, other = outputs(frames, "openai-responses", "anthropic")
    assert one == other
    said = collect(other, "anthropic")["content"]
    assert [block["text"] for block in said] == ["".join(pieces)]


def gemini(text: str, reason: str | None = None, **beside: Any) -> bytes:
    candidate = {"content": {"parts": [{"text": text}], "role": "model"}, "index": 0, **beside}
    payload = {"candidates": [candidate | ({"finishReason": reason} if reason else {})], "responseId": "found"}
    return b"data: " + json.dumps(payload).encode() + b"\n\n"


def responses(name: str, **fields: Any) -> bytes:
    return b"data: " + json.dumps({"type": f"response.{name}", **fields}).encode() + b"\n\n"


RATED = gemini("b", safetyRatings=[{"category": "HARM_CATEGORY_HARASSMENT", "probability": "LOW"}])
ARGUMENTS = "function_call_arguments.delta"


@pytest.mark.parametrize(
    ("source", "frames"),
    [
        pytest.param(
            "gemini",
            [gemini("a"), RATED, gemini("c", finishMessage="?"), RATED, gemini("d", "STOP")],
            id="ratings on some chunks",
        ),
        pytest.param(
            "openai-chat",
            [
                chunk({"content": "a"}),
                chunk({"content": "b"}),
                chunk({"role": "assistant"}),
                chunk({"content": "c"}, x="?").replace(b"?", b"\xff"),
                chunk({}, finish="stop"),
            ],
            id="bad UTF-8 where nobody looks",
        ),
        pytest.param(
            "openai-chat",
            [
                chunk({"content": "a"}),
                b"event: error\n" + chunk({"content": "b"}),
                b": lines that end in CR\r\r",
                chunk({}, finish="stop"),
            ],
            id="a delta with the name of an error",
        ),
        pytest.param(
            "openai-responses",
            [
                responses("created", response={"id": "r", "model": "m"}),
                responses(
                    "output_item.added", output_index=0, item={"type": "function_call", "call_id": "c", "name": "f"}
                ),
                responses(ARGUMENTS, output_index=0, delta="{"),
                responses(ARGUMENTS, output_index=0, delta=" "),
                responses("unheard", output_index=0),
                responses(ARGUMENTS, output_index=0, delta="}", logprobs={}),
                responses("completed", response={"id": "r", "status": "completed"}),
            ],
            id="log probabilities of arguments",
        ),
    ],
)
def test_how_a_frame_is_read_does_not_depend_on_its_neighbours(source: str, frames: list[bytes]) -> None:
    """The typed way leaves unread what the dict way would see, so every frame that it can read must go that way."""
    whole, single = (Translator(source, source, normalize=True) for _ in range(2))
    one = whole.feed(b"".join(frames)) + whole.close()
    assert b"".join([single.feed(frame) for frame in frames]) + single.close() == one
    assert (str(whole.error), whole.message) == (str(single.error), single.message)


def test_what_was_held_until_the_end_may_be_wrong() -> None:
    item = {"type": "function_call", "call_id": "c", "name": ["f"]}
    translator = Translator("openai-responses", "anthropic")
    translator.feed(responses("created", response={"id": "r", "model": "m"}))
    translator.feed(responses("output_item.added", output_index=0, item=item) + DONE)
    translator.close()
    assert translator.error is not None
    assert "name must be a string" in str(translator.error)


def test_a_finish_message_that_is_no_text_explains_nothing() -> None:
    body = collect(gemini("a", "STOP", finishMessage={"a": 1}), "gemini", "anthropic")
    assert body["content"][0]["text"] == "a"


def test_alternatives_that_are_no_list_are_left_out() -> None:
    entry = {"token": "a", "logprob": -1.0, "top_logprobs": "x"}
    choice = {"index": 0, "delta": {"content": "a"}, "logprobs": {"content": [entry]}}
    frames = chunk({}, choices=[choice]) + chunk({}, finish="stop") + DONE
    candidate = collect(frames, "openai-chat", "gemini")["candidates"][0]
    assert candidate["logprobsResult"]["chosenCandidates"] == [{"token": "a", "logProbability": -1.0}]


def test_half_a_character_may_wait_its_turn() -> None:
    """What waits is weighed, also what no strict encoder writes."""
    frames = [
        responses("created", response={"id": "r", "model": "m"}),
        *(
            responses("output_item.added", output_index=n, item={"type": "message", "id": f"i{n}", "content": []})
            for n in (0, 1)
        ),
        *(responses("output_text.delta", output_index=n, content_index=0, delta="a") for n in (0, 1)),
        responses("unheard", output_index=1, text="\ud83d"),
    ]
    translator = Translator("openai-responses", "anthropic")
    translator.feed(b"".join(frames))
    assert [part.text for part in translator.message.parts] == ["a", "a"]
    assert translator.error is None


@pytest.mark.parametrize(
    ("source", "data"),
    [
        pytest.param("openai-chat", b": c\r\n\r\ndata: " + b"x" * 200 + b"\r\n\r\n", id="CRLF"),
        pytest.param("gemini", b"[\r\n" + b'{"a":"' + b"x" * 200 + b'"}]', id="array"),
    ],
)
def test_a_frame_that_is_too_large_begins_where_it_begins(source: str, data: bytes) -> None:
    whole, single = (Translator(source, source, max_frame=100) for _ in range(2))
    one = whole.feed(data)
    other = b"".join([single.feed(data[at : at + 1]) for at in range(len(data))])
    assert whole.error is not None
    assert whole.error.offset == data.index(b"data" if source == "openai-chat" else b"{")
    assert str(single.error) == str(whole.error)
    assert one == other
