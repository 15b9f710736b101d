"""Section E: stop reasons."""

import pytest

from ccproxy import collect

from .outputs import Said
from .streams import (
    DIALECTS,
    FINISHES,
    Json,
    call,
    call_item,
    chat,
    chunk,
    each_source,
    each_target,
    finish_in,
    item_event,
    losses,
    message,
    message_item,
    response,
    run,
    said,
    sse,
    text_block,
    tool_block,
    usage_chunk,
)

CALL: Said = ("tool", "call_1", "f", '{"x":1}')
CALL_CHUNK = chunk(call(0, *CALL[1:]))
STOP = chunk(finish="stop")

# -- 57: a call was made, the source says "stop" ----------------------------------------------------------------------

CALLED: dict[str, tuple[str, bytes]] = {
    "anthropic": ("anthropic", message(*tool_block(0, *CALL[1:]), stop="end_turn")),
    "anthropic, text after it": (
        "anthropic",
        message(*tool_block(0, *CALL[1:]), *text_block(1, "Hi"), stop="end_turn"),
    ),
    "chat": ("openai-chat", chat(CALL_CHUNK, STOP)),
    "chat, several chunks earlier": ("openai-chat", chat(CALL_CHUNK, chunk(said("Hi")), chunk(), STOP)),
    "chat, in the same chunk": ("openai-chat", chat(chunk(call(0, *CALL[1:]), "stop"))),
    "chat, text before it": ("openai-chat", chat(chunk(said("Hi")), CALL_CHUNK, STOP, usage_chunk())),
    "chat, an empty reason first": ("openai-chat", chat(chunk(call(0, *CALL[1:]), ""), STOP)),
    "chat, stop twice": ("openai-chat", chat(CALL_CHUNK, STOP, STOP)),
    "chat, function_call": (
        "openai-chat",
        chat(chunk({"function_call": {"name": "f", "arguments": '{"x":1}'}}), chunk(finish="function_call")),
    ),
    "responses": ("openai-responses", response(*call_item(0, *CALL[1:]))),
    "responses, text after it": ("openai-responses", response(*call_item(0, *CALL[1:]), *message_item(1, "Hi"))),
}


@each_target
@pytest.mark.parametrize("case", CALLED)
def test_trap_57_a_call_is_remembered(case: str, target: str) -> None:
    source, data = CALLED[case]
    out = run(source, target, data)
    assert out.finish == finish_in(target, "tool")
    assert [tool[2:] for tool in out.tools] == [CALL[2:]]


@pytest.mark.parametrize("case", CALLED)
def test_trap_57_a_call_is_remembered_in_the_body(case: str) -> None:
    source, data = CALLED[case]
    assert collect(data, source, "openai-chat")["choices"][0]["finish_reason"] == "tool_calls"
    assert collect(data, source, "anthropic")["stop_reason"] == "tool_use"


@each_target
@each_source
def test_trap_57_without_a_call_it_stays_a_stop(source: str, target: str) -> None:
    """What the server ran itself is no call of the client's."""
    searched = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}}
    start: Json = {"type": "content_block_start", "index": 0, "content_block": searched}
    search = {
        "id": "ws_0",
        "type": "web_search_call",
        "status": "completed",
        "action": {"type": "search", "query": "q"},
    }
    streams = {
        "anthropic": message(start, {"type": "content_block_stop", "index": 0}, *text_block(1, "Hi")),
        "openai-chat": chat(chunk({"tool_calls": []}), chunk(said("Hi")), STOP),
        "openai-responses": response(
            item_event("added", 0, {"id": "ws_0", "type": "web_search_call", "status": "in_progress"}),
            item_event("done", 0, search),
            *message_item(1, "Hi"),
        ),
    }
    out = run(source, target, streams[source])
    assert out.finish == finish_in(target, "end")


# -- 58: the answer was too long --------------------------------------------------------------------------------------

LENGTHS: dict[str, tuple[str, bytes]] = {
    "anthropic": ("anthropic", message(*tool_block(0, "call_1", "f", '{"x":'), stop="max_tokens")),
    "chat": ("openai-chat", chat(chunk(call(0, "call_1", "f", '{"x":')), chunk(finish="length"))),
    "chat, length and then tool_calls": (
        "openai-chat",
        chat(chunk(call(0, "call_1", "f", '{"x":')), chunk(finish="length"), chunk(finish="tool_calls")),
    ),
    "chat, tool_calls and then length": (
        "openai-chat",
        chat(chunk(call(0, "call_1", "f", '{"x":')), chunk(finish="tool_calls"), chunk(finish="length")),
    ),
    "chat, stop and then length": (
        "openai-chat",
        chat(chunk(call(0, "call_1", "f", '{"x":')), STOP, chunk(finish="length")),
    ),
    "responses": (
        "openai-responses",
        response(
            *call_item(0, "call_1", "f", '{"x":', status="incomplete"),
            end="incomplete",
            incomplete_details={"reason": "max_output_tokens"},
        ),
    ),
}


@each_target
@pytest.mark.parametrize("case", LENGTHS)
def test_trap_58_length_is_not_hidden_by_a_call(case: str, target: str) -> None:
    source, data = LENGTHS[case]
    out = run(source, target, data)
    assert out.finish == finish_in(target, "length")
    assert out.said == [("tool", "call_1", "f", '{"x":')]


@each_target
@each_source
def test_trap_58_length_is_not_hidden_by_a_whole_call(source: str, target: str) -> None:
    streams = {
        "anthropic": message(*tool_block(0, *CALL[1:]), stop="max_tokens"),
        "openai-chat": chat(CALL_CHUNK, chunk(finish="length")),
        "openai-responses": response(
            *call_item(0, *CALL[1:]), end="incomplete", incomplete_details={"reason": "max_output_tokens"}
        ),
    }
    assert run(source, target, streams[source]).finish == finish_in(target, "length")
    assert collect(streams[source], source, "openai-chat")["choices"][0]["finish_reason"] == "length"


@each_target
@pytest.mark.parametrize("order", [("stop", "tool_calls"), ("tool_calls", "stop")])
def test_trap_58_a_call_is_not_hidden_by_stop(order: tuple[str, str], target: str) -> None:
    out = run("openai-chat", target, chat(CALL_CHUNK, *(chunk(finish=finish) for finish in order)))
    assert out.finish == finish_in(target, "tool")


# -- 59: filters and refusals, and what only one dialect says ---------------------------------------------------------

FILTERED: dict[str, tuple[str, bytes]] = {
    "anthropic": ("anthropic", message(*text_block(0, "Well"), stop="refusal")),
    "anthropic, no content": ("anthropic", message(stop="refusal")),
    "chat": ("openai-chat", chat(chunk(said("Well")), chunk(finish="content_filter"))),
    "chat, no content": ("openai-chat", chat(chunk(finish="content_filter"))),
    "chat, with a call": ("openai-chat", chat(CALL_CHUNK, chunk(finish="content_filter"))),
    "chat, sensitive (GLM)": ("openai-chat", chat(chunk(said("Well")), chunk(finish="sensitive"))),
    "responses": (
        "openai-responses",
        response(
            *message_item(0, "Well", status="incomplete"),
            end="incomplete",
            incomplete_details={"reason": "content_filter"},
        ),
    ),
    "responses, with a call": (
        "openai-responses",
        response(*call_item(0, *CALL[1:]), end="incomplete", incomplete_details={"reason": "content_filter"}),
    ),
}


@each_target
@pytest.mark.parametrize("case", FILTERED)
def test_trap_59_a_filter_is_a_refusal_and_back(case: str, target: str) -> None:
    source, data = FILTERED[case]
    assert run(source, target, data).finish == finish_in(target, "filtered")


def test_trap_59_a_refusal_tells_its_details() -> None:
    details = {"type": "refusal", "category": "cyber", "explanation": "No."}
    data = message(*text_block(0, "Well"), stop="refusal").replace(
        b'"stop_reason":"refusal"', b'"stop_reason":"refusal","stop_details":' + sse(details)[6:-2]
    )
    delta = run("anthropic", "anthropic", data).events("message_delta")[0]["delta"]
    assert delta["stop_details"] == details
    assert collect(data, "anthropic")["stop_details"] == details


def refusal_item(*texts: str) -> list[Json]:
    """A message that is a refusal."""
    item = {"id": "msg_0", "type": "message", "role": "assistant"}
    part = {"type": "refusal", "refusal": "".join(texts)}
    where: Json = {"output_index": 0, "item_id": "msg_0", "content_index": 0}
    stem = "response.refusal"
    return [
        {
            "type": "response.output_item.added",
            "output_index": 0,
            "item": item | {"status": "in_progress", "content": []},
        },
        {"type": "response.content_part.added", **where, "part": part | {"refusal": ""}},
        *({"type": f"{stem}.delta", **where, "delta": text} for text in texts),
        {"type": f"{stem}.done", **where, "refusal": part["refusal"]},
        {"type": "response.content_part.done", **where, "part": part},
        {
            "type": "response.output_item.done",
            "output_index": 0,
            "item": item | {"status": "completed", "content": [part]},
        },
    ]


@each_target
@pytest.mark.parametrize(
    ("source", "data"),
    [
        ("openai-chat", chat(chunk({"refusal": "I "}), chunk({"refusal": "can't."}), STOP)),
        ("openai-responses", response(*refusal_item("I ", "can't."))),
    ],
)
def test_trap_59_refusal_text(source: str, data: bytes, target: str) -> None:
    """To Anthropic it is text, and the stop_reason says what it is."""
    out = run(source, target, data)
    assert out.said == [("text" if target == "anthropic" else "refusal", "I can't.")]
    assert out.finish == finish_in(target, "filtered" if target == "anthropic" else "end")
    assert ("refusal" in losses(out)) == (target == "anthropic")


@pytest.mark.parametrize(
    ("stop", "expected"),
    [
        ("model_context_window_exceeded", "length"),
        ("pause_turn", "length"),
        ("max_tokens", "length"),
        ("stop_sequence", "end"),
        ("end_turn", "end"),
    ],
)
@each_target
def test_trap_59_what_only_anthropic_says(stop: str, expected: str, target: str) -> None:
    """`pause_turn` is an unfinished turn; what the target's word doesn't tell is a loss."""
    out = run("anthropic", target, message(*text_block(0, "Hi"), stop=stop))
    assert out.finish == (stop if target == "anthropic" else finish_in(target, expected))
    known = stop in ("max_tokens", "end_turn") or target == "anthropic"
    assert ("finish" in losses(out)) == (not known)


def test_trap_59_every_dialect_is_in_the_table() -> None:
    """The words above, against the library's own body of the same answer."""
    for finish, words in FINISHES.items():
        data = chat(CALL_CHUNK if finish == "tool" else chunk(said("Hi")), chunk(finish=words[1]))
        assert collect(data, "openai-chat", "anthropic")["stop_reason"] == words[0]
        body = collect(data, "openai-chat", "openai-responses")
        assert ((body["incomplete_details"] or {}).get("reason") or body["status"]) == words[2]
    assert len(DIALECTS) == 3
