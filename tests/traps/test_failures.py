"""Section F: errors, truncation, the end of the stream, signs of life."""

import json
from typing import Any

import pytest

from ccproxy import StreamFailed, Translator, collect

from .outputs import deltas, split
from .streams import (
    DIALECTS,
    Json,
    anthropic,
    call,
    call_item,
    chat,
    chunk,
    each_source,
    each_target,
    failed,
    finish_in,
    frames_of,
    message,
    message_item,
    message_start,
    opening,
    response,
    responses,
    run,
    said,
    sse,
    steps,
    text_block,
    texts,
    tool_begin,
    tool_block,
    tool_delta,
    usage_chunk,
)

STOP = chunk(finish="stop")

# -- 62, 63: the provider reports an error ----------------------------------------------------------------------------


def responses_error(code: str, text: str = "Oops") -> Json:
    """As OpenAI sends it: nested."""
    return {"type": "error", "error": {"type": code, "code": code, "message": text, "param": None}}


CODES = {
    "rate_limit_exceeded": "rate_limit_error",
    "insufficient_quota": "billing_error",
    "context_length_exceeded": "invalid_request_error",
    "invalid_prompt": "invalid_request_error",
    "server_error": "api_error",
    "something_new": "api_error",
}


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("before", [[], message_item(0, "Hi")[:3]], ids=["first", "after text"])
@pytest.mark.parametrize("form", ["error and failed", "failed", "flat error", "nested error"])
def test_trap_62_a_failed_response_is_an_error_of_messages(form: str, before: list[Json], code: str) -> None:
    flat = {"type": "error", "code": code, "message": "Oops", "param": None}
    terminal = failed({"code": code, "message": "Oops"})
    ends = {
        "error and failed": [responses_error(code), terminal],
        "failed": [terminal],
        "flat error": [flat],
        "nested error": [responses_error(code)],
    }
    out = run("openai-responses", "anthropic", responses(*opening(), *before, *ends[form]))
    assert out.finish is None
    assert out.error is not None
    assert out.error["type"] == CODES[code]
    assert out.error["message"] == ("prompt is too long: Oops" if code == "context_length_exceeded" else "Oops")
    assert "".join(deltas(out.raw)) == ("Hi" if before else "")


ERRORS: dict[str, tuple[str, bytes]] = {
    "anthropic": (
        "anthropic",
        anthropic({"type": "error", "error": {"type": "overloaded_error", "message": "Oops"}}),
    ),
    "anthropic, no event line": (
        "anthropic",
        sse({"type": "error", "error": {"type": "overloaded_error", "message": "Oops"}}),
    ),
    "anthropic, bare JSON": (
        "anthropic",
        b'{"type":"error","error":{"type":"overloaded_error","message":"Oops"}}\n\n',
    ),
    "chat": ("openai-chat", sse({"error": {"message": "Oops", "type": "server_error", "param": None, "code": None}})),
    "chat, then [DONE]": (
        "openai-chat",
        sse({"error": {"message": "Oops", "type": "server_error", "param": None, "code": None}}) + sse("[DONE]"),
    ),
    "chat, in a chunk (OpenRouter)": (
        "openai-chat",
        sse(chunk({"content": ""}, "error", error={"code": 502, "message": "Oops"})),
    ),
    "chat, after the finish": ("openai-chat", sse(STOP) + sse({"error": {"message": "Oops", "code": 502}})),
    "chat, flat (vLLM)": ("openai-chat", sse({"object": "error", "message": "Oops", "type": "InternalServerError"})),
    "chat, event: error (Groq)": (
        "openai-chat",
        sse({"error": {"message": "Oops", "code": "tool_use_failed"}}, "error"),
    ),
    "chat, x_groq": ("openai-chat", sse(chunk({}, x_groq={"error": "Oops"}))),
    "chat, a string": ("openai-chat", sse({"error": "Oops"})),
    "chat, a field (GPUStack)": ("openai-chat", b'error: {"error": {"message": "Oops", "code": 500}}\n\n'),
    "chat, bare JSON": ("openai-chat", b'{"error":{"message":"Oops","type":"server_error"}}\n\n'),
    "responses": ("openai-responses", responses(responses_error("server_error"))),
    "responses, and failed": (
        "openai-responses",
        responses(responses_error("server_error"), failed({"code": "server_error", "message": "Oops"})),
    ),
    "responses, failed alone": ("openai-responses", responses(failed({"code": "server_error", "message": "Oops"}))),
    "responses, flat": ("openai-responses", responses({"type": "error", "code": "server_error", "message": "Oops"})),
}
BEGINNINGS: dict[str, tuple[bytes, bytes]] = {
    "anthropic": (
        anthropic(message_start(), *text_block(0, "Hi")[:2]),
        anthropic(message_start(), *text_block(0, "Hi")),
    ),
    "openai-chat": (chat(chunk(said("Hi")), done=False),) * 2,
    "openai-responses": (
        responses(*opening(), *message_item(0, "Hi")[:3]),
        responses(*opening(), *message_item(0, "Hi")),
    ),
}


@each_target
@pytest.mark.parametrize("case", ERRORS)
@pytest.mark.parametrize("place", ["first", "within a part", "after a part"])
def test_trap_63_an_error_is_no_success(case: str, place: str, target: str) -> None:
    """It ends the stream, in the target's form, after all that came before; no terminal of a success follows."""
    source, error = ERRORS[case]
    before = b"" if place == "first" else BEGINNINGS[source][place == "after a part"]
    out = run(source, target, before + error)
    assert out.finish is None
    assert out.error is not None and out.error["message"] == "Oops"
    assert "".join(deltas(out.raw)) == ("" if place == "first" else "Hi")
    assert out.translator.error is not None and out.translator.error.fault == "provider"


@pytest.mark.parametrize("case", ERRORS)
def test_trap_63_an_error_has_no_body(case: str) -> None:
    source, error = ERRORS[case]
    with pytest.raises(StreamFailed) as caught:
        collect(BEGINNINGS[source][0] + error, source)
    assert caught.value.partial.text() == "Hi"


@pytest.mark.parametrize("case", ERRORS)
def test_trap_63_an_error_passes_untouched(case: str) -> None:
    """Same dialect in and out: the provider's own error, and no second one of ours."""
    source, error = ERRORS[case]
    data = BEGINNINGS[source][0] + error
    translator = Translator(source, source)
    assert translator.feed(data) + translator.close() == data
    assert translator.error is not None


# -- 64: the stream is cut --------------------------------------------------------------------------------------------

WHOLE: dict[str, bytes] = {
    "anthropic": message(*text_block(0, "Hel", "lo"), *tool_block(1, "call_1", "f", '{"x"', ":1}"), stop="tool_use"),
    "openai-chat": chat(
        chunk({"role": "assistant", "content": ""}),
        chunk(said("Hel")),
        chunk(said("lo")),
        chunk(call(0, "call_1", "f", "")),
        chunk(call(0, arguments='{"x"')),
        chunk(call(0, arguments=":1}")),
        chunk(finish="tool_calls"),
        usage_chunk(),
    ),
    "openai-responses": response(*message_item(0, "Hel", "lo"), *call_item(1, "call_1", "f", '{"x"', ":1}")),
}
SAYS_WHY = {
    "anthropic": b'"stop_reason":"',
    "openai-chat": b'"finish_reason":"',
    "openai-responses": b"response.completed",
}


@each_target
@each_source
def test_trap_64_a_cut_before_the_source_said_why_it_stops(source: str, target: str) -> None:
    """The law of the cut, at every event and within every event."""
    whole = WHOLE[source]
    enough = whole.index(b"\n\n", whole.index(SAYS_WHY[source]))
    for cut in (
        *range(0, enough - 1, 41),
        *(len(b"".join(frames_of(whole)[:n])) for n in range(len(frames_of(whole)))),
    ):
        if cut >= enough:
            continue
        out = run(source, target, whole[:cut])
        assert out.finish is None
        assert out.error is not None
        assert out.translator.error is not None and out.translator.error.kind == "truncated"


@each_target
@each_source
def test_trap_64_a_cut_after_the_source_said_why_it_stops(source: str, target: str) -> None:
    whole = WHOLE[source]
    out = run(source, target, whole[: whole.index(b"\n\n", whole.index(SAYS_WHY[source]))])
    assert out.error is None
    assert out.finish == finish_in(target, "tool")


@each_target
@pytest.mark.parametrize(
    ("source", "data"),
    [
        pytest.param(
            "anthropic", anthropic(message_start(), *text_block(0, "Hi"), {"type": "message_stop"}), id="anthropic"
        ),
        pytest.param("openai-chat", chat(chunk(said("Hi"))), id="chat"),
        pytest.param("openai-responses", responses(*opening(), *message_item(0, "Hi")) + sse("[DONE]"), id="responses"),
    ],
)
def test_trap_64_an_end_mark_is_no_reason_to_stop(source: str, data: bytes, target: str) -> None:
    out = run(source, target, data)
    assert out.said == [("text", "Hi")]
    assert out.error is not None and out.finish is None


@each_target
@each_source
def test_trap_64_nothing_at_all(source: str, target: str) -> None:
    for data in (b"", b"\n", b": hello\n\n"):
        out = run(source, target, data)
        assert out.error is not None and out.finish is None


@each_source
def test_trap_64_a_cut_stream_that_passes_untouched(source: str) -> None:
    """Whole frames as they came, a half one dropped, then the error."""
    whole = frames_of(WHOLE[source])
    for cut in range(1, len(whole)):
        data = b"".join(whole[:cut])
        if SAYS_WHY[source] in data:
            continue
        translator = Translator(source, source)
        out = translator.feed(data + whole[cut][:9]) + translator.close()
        assert out.startswith(data) and translator.error is not None
        error = split(out[len(data) :])[0]
        if source == "openai-chat":
            assert [set(frame.data) for frame in error] == [{"error"}]
        else:
            names = [frame.event for frame in error]
            assert names == (["error"] if source == "anthropic" else ["error", "response.failed"])


# -- 65: calls that were cut ------------------------------------------------------------------------------------------

PARTIAL = '{"path":"/tmp/a","text":"rm -rf /tm'
UNFINISHED: dict[str, tuple[str, bytes, str | None]] = {
    "anthropic, max_tokens": (
        "anthropic",
        message(*tool_block(0, "call_1", "f", PARTIAL[:9], PARTIAL[9:]), stop="max_tokens"),
        "length",
    ),
    "anthropic, tool_use": (
        "anthropic",
        message(*tool_block(0, "call_1", "f", PARTIAL[:9], PARTIAL[9:]), stop="tool_use"),
        "tool",
    ),
    "anthropic, an error": (
        "anthropic",
        anthropic(
            message_start(),
            tool_begin(0, "call_1", "f"),
            tool_delta(0, PARTIAL),
            {"type": "error", "error": {"type": "api_error", "message": "Oops"}},
        ),
        None,
    ),
    "anthropic, a cut": (
        "anthropic",
        anthropic(message_start(), tool_begin(0, "call_1", "f"), tool_delta(0, PARTIAL)),
        None,
    ),
    "chat, length": ("openai-chat", chat(chunk(call(0, "call_1", "f", PARTIAL)), chunk(finish="length")), "length"),
    "chat, tool_calls": (
        "openai-chat",
        chat(chunk(call(0, "call_1", "f", PARTIAL)), chunk(finish="tool_calls")),
        "tool",
    ),
    "chat, error": ("openai-chat", chat(chunk(call(0, "call_1", "f", PARTIAL)), chunk(finish="error")), None),
    "chat, network_error": (
        "openai-chat",
        chat(chunk(call(0, "call_1", "f", PARTIAL)), chunk(finish="network_error")),
        None,
    ),
    "chat, a cut": ("openai-chat", chat(chunk(call(0, "call_1", "f", PARTIAL)), done=False), None),
    "responses, incomplete": (
        "openai-responses",
        response(
            *call_item(0, "call_1", "f", PARTIAL, status="incomplete"),
            end="incomplete",
            incomplete_details={"reason": "max_output_tokens"},
        ),
        "length",
    ),
    "responses, completed": ("openai-responses", response(*call_item(0, "call_1", "f", PARTIAL)), "tool"),
    "responses, a cut": ("openai-responses", responses(*opening(), *call_item(0, "call_1", "f", PARTIAL)[:2]), None),
}


@each_target
@pytest.mark.parametrize("case", UNFINISHED)
def test_trap_65_cut_arguments_are_not_repaired(case: str, target: str) -> None:
    source, data, finish = UNFINISHED[case]
    out = run(source, target, data)
    assert out.said == [("tool", "call_1", "f", PARTIAL)]
    assert out.finish == (finish and finish_in(target, finish))
    assert (out.error is None) == (finish is not None)
    for event in out.events("response.output_item.done"):
        assert event["item"]["status"] == "incomplete"


@pytest.mark.parametrize("case", [case for case, (_, _, finish) in UNFINISHED.items() if finish])
def test_trap_65_cut_arguments_are_not_repaired_in_the_body(case: str) -> None:
    source, data, _ = UNFINISHED[case]
    tool = collect(data, source, "openai-chat")["choices"][0]["message"]["tool_calls"][0]
    assert tool["function"]["arguments"] == PARTIAL
    item = collect(data, source, "openai-responses")["output"][0]
    assert item["arguments"] == PARTIAL
    if case != "responses, completed":  # its own body is the one that the provider sent
        assert item["status"] == "incomplete"
    block = collect(data, source, "anthropic")["content"][0]
    assert not {"path", "text"} & set(block["input"])


CUT_TEXTS: dict[str, tuple[str, bytes]] = {
    "anthropic": ("anthropic", anthropic(message_start(), *text_block(0, "To be or")[:2])),
    "chat": ("openai-chat", chat(chunk({"content": "To be or"}), done=False)),
    "chat, reasoning": ("openai-chat", chat(chunk({"reasoning_content": "To be or"}), done=False)),
}


@pytest.mark.parametrize("case", CUT_TEXTS)
def test_trap_65_a_text_that_was_cut_is_never_done(case: str) -> None:
    """Codex keeps every item that is done as said, and asks again with half a sentence in the history."""
    source, data = CUT_TEXTS[case]
    out = run(source, "openai-responses", data)
    assert out.error is not None
    assert not out.events("response.output_item.done")
    (last,) = out.events("response.failed")
    assert [item.get("status") for item in last["response"]["output"]] in (["incomplete"], [None])  # reasoning has none


# -- 70: signs of life ------------------------------------------------------------------------------------------------

PINGED: dict[str, tuple[str, bytes]] = {
    "anthropic": (
        "anthropic",
        message(
            {"type": "ping"}, *text_block(0, "Hel")[:2], {"type": "ping"}, *text_block(0, "lo")[1:], {"type": "ping"}
        ),
    ),
    "chat": (
        "openai-chat",
        sse(chunk(said("Hel"))) + b": OPENROUTER PROCESSING\n\n" * 2 + sse(chunk(said("lo"))) + b":\n\n" + chat(STOP),
    ),
    "chat, a comment that looks like data": (
        "openai-chat",
        sse(chunk(said("Hel")))
        + b': {"error": 1}\n\n:data: {"x\n\n'
        + sse(chunk(said("lo")))
        + b": data: [DONE]\n\n"
        + chat(STOP),
    ),
    "responses": (
        "openai-responses",
        b": ping\n\n".join(frames_of(texts("openai-responses", "Hel", "lo"))[at] for at in range(1))
        + b": ping\n\n" * 3
        + b"".join(frames_of(texts("openai-responses", "Hel", "lo"))[1:]),
    ),
    "responses, keepalive": (
        "openai-responses",
        response(
            {"type": "keepalive"},
            *message_item(0, "Hel", "lo")[:3],
            {"type": "keepalive"},
            *message_item(0, "Hel", "lo")[3:],
            {"type": "keepalive"},
        ),
    ),
}


@each_target
@pytest.mark.parametrize("case", PINGED)
def test_trap_70_pings_are_translated(case: str, target: str) -> None:
    """To comments but where the dialect has a ping event: some clients choke on events they don't know."""
    source, data = PINGED[case]
    out = run(source, target, data)
    assert out.said == [("text", "Hello")]
    assert out.pings == 3
    assert deltas(out.raw) == ["Hel", "lo"]


@each_target
@pytest.mark.parametrize("case", PINGED)
def test_trap_70_pings_leave_at_once(case: str, target: str) -> None:
    source, data = PINGED[case]
    alive = 0
    for frame, step in zip(frames_of(data), steps(source, target, frames_of(data)), strict=False):
        if frame.startswith(b":") or b'"type":"ping"' in frame or b'"type":"keepalive"' in frame:
            assert step.startswith((b": ", b"event: ping\n"))
            alive += 1
    assert alive == 3


@each_target
@each_source
def test_trap_70_pings_before_the_start_and_after_the_end(source: str, target: str) -> None:
    """They are dropped, and no error."""
    data = texts(source, "Hi")
    late = b": late\n\n" + (anthropic({"type": "ping"}) if source == "anthropic" else b"")
    assert run(source, target, late + data + late).raw == run(source, target, data).raw


@each_target
@each_source
def test_trap_70_a_comment_line_within_a_frame_is_no_data(source: str, target: str) -> None:
    data = texts(source, "Hi")
    noisy = b"".join(b": {\n" + frame[:-1] + b':"}\n\n' for frame in frames_of(data))
    assert run(source, target, noisy).raw == run(source, target, data).raw


# -- 71: what kind of error -------------------------------------------------------------------------------------------

KINDS: dict[str, tuple[str, bytes, dict[str, str]]] = {
    "anthropic, overloaded": (
        "anthropic",
        anthropic({"type": "error", "error": {"type": "overloaded_error", "message": "Oops"}}),
        {"anthropic": "overloaded_error", "openai-chat": "server_is_overloaded"},
    ),
    "anthropic, rate limit": (
        "anthropic",
        anthropic({"type": "error", "error": {"type": "rate_limit_error", "message": "Oops"}}),
        {
            "anthropic": "rate_limit_error",
            "openai-chat": "rate_limit_exceeded",
            "openai-responses": "rate_limit_exceeded",
        },
    ),
    "anthropic, details": (
        "anthropic",
        anthropic(
            {"type": "error", "error": {"type": "api_error", "message": "Oops", "details": {"error_code": "odd_code"}}}
        ),
        {"anthropic": "odd_code", "openai-chat": "odd_code", "openai-responses": "odd_code"},
    ),
    "chat, code": (
        "openai-chat",
        sse({"error": {"message": "Oops", "type": "tokens", "param": None, "code": "rate_limit_exceeded"}}),
        {
            "anthropic": "rate_limit_error",
            "openai-chat": "rate_limit_exceeded",
            "openai-responses": "rate_limit_exceeded",
        },
    ),
    "chat, type": (
        "openai-chat",
        sse({"error": {"message": "Oops", "type": "insufficient_quota", "param": None, "code": None}}),
        {"anthropic": "billing_error", "openai-chat": "insufficient_quota", "openai-responses": "insufficient_quota"},
    ),
    "chat, numeric code": (
        "openai-chat",
        sse({"error": {"message": "Oops", "code": 429}}),
        {"anthropic": "rate_limit_error", "openai-responses": "rate_limit_exceeded"},
    ),
    "chat, numeric code in a string": (
        "openai-chat",
        sse({"error": {"message": "Oops", "code": "429"}}),
        {"anthropic": "rate_limit_error", "openai-responses": "rate_limit_exceeded"},
    ),
    "chat, numeric code in a chunk": (
        "openai-chat",
        sse(chunk({"content": ""}, "error", error={"code": 401, "message": "Oops"})),
        {"anthropic": "authentication_error", "openai-responses": "invalid_api_key"},
    ),
    "chat, a code nobody knows": (
        "openai-chat",
        sse({"error": {"message": "Oops", "type": "odd_type", "code": "odd_code"}}),
        {"anthropic": "odd_code", "openai-chat": "odd_code", "openai-responses": "odd_code"},
    ),
    "responses, code": (
        "openai-responses",
        responses(
            *opening(),
            responses_error("rate_limit_exceeded"),
            failed({"code": "rate_limit_exceeded", "message": "Oops"}),
        ),
        {
            "anthropic": "rate_limit_error",
            "openai-chat": "rate_limit_exceeded",
            "openai-responses": "rate_limit_exceeded",
        },
    ),
    "responses, context": (
        "openai-responses",
        responses(*opening(), failed({"code": "context_length_exceeded", "message": "Oops"})),
        {
            "anthropic": "prompt is too long",
            "openai-chat": "context_length_exceeded",
            "openai-responses": "context_length_exceeded",
        },
    ),
    "responses, a code nobody knows": (
        "openai-responses",
        responses(*opening(), failed({"code": "odd_code", "message": "Oops"})),
        {"anthropic": "odd_code", "openai-chat": "odd_code", "openai-responses": "odd_code"},
    ),
}


@each_target
@pytest.mark.parametrize("case", KINDS)
def test_trap_71_code_and_type_of_an_error_are_kept(case: str, target: str) -> None:
    source, data, expected = KINDS[case]
    out = run(source, target, data)
    assert out.error is not None
    assert "Oops" in out.error["message"]
    if target in expected:
        assert expected[target] in json.dumps(out.error)


@pytest.mark.parametrize("case", KINDS)
def test_trap_71_the_codex_client_only_sees_response_failed(case: str) -> None:
    source, data, expected = KINDS[case]
    last = run(source, "openai-responses", data).frames[-1]
    assert last.event == "response.failed"
    error = last.data["response"]["error"]
    assert error["message"] == "Oops"
    assert expected.get("openai-responses", error["code"]) == error["code"]


@each_target
@pytest.mark.parametrize("source", DIALECTS)
def test_trap_71_the_translator_tells_where_and_what(source: str, target: str) -> None:
    before = BEGINNINGS[source][0]
    error: dict[str, bytes] = {
        "anthropic": anthropic({"type": "error", "error": {"type": "rate_limit_error", "message": "Oops"}}),
        "openai-chat": sse({"error": {"message": "Oops", "code": 429}}),
        "openai-responses": responses(responses_error("rate_limit_exceeded")),
    }
    failure: Any = run(source, target, before + error[source]).translator.error
    assert (failure.kind, failure.reason) == ("rate_limit", "Oops")
    assert (failure.offset, failure.frame) == (len(before), len(frames_of(before)))
