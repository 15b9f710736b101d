"""Whole bodies: what each place of a body becomes, and how a bad one is refused. (`laws/test_bodies.py` has the laws.)"""

from __future__ import annotations

import json
from typing import Any

import pytest

from ccproxy import (
    MisuseError,
    Replayed,
    StreamFailed,
    Translated,
    Translator,
    dialects,
    read_response,
    replay,
    translate_response,
)
from ccproxy.core.assemble import Message
from ccproxy.core.events import Event

ANTHROPIC: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude",
    "content": [{"type": "text", "text": "hi"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 3, "output_tokens": 2},
}
CHAT: dict[str, Any] = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 17,
    "model": "gpt",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
}
RESPONSE: dict[str, Any] = {
    "id": "resp_1",
    "object": "response",
    "created_at": 17,
    "model": "gpt",
    "status": "completed",
    "error": None,
    "incomplete_details": None,
    "output": [{"type": "message", "id": "msg_1", "content": [{"type": "output_text", "text": "hi"}]}],
    "usage": {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5},
}
BODIES = {"anthropic": ANTHROPIC, "openai-chat": CHAT, "openai-responses": RESPONSE}


def chat(message: dict[str, Any], finish: str | None = "stop", **choice: Any) -> Message:
    choices = [{"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish, **choice}]
    return read_response({**CHAT, "choices": choices}, "openai-chat")


def response(*output: dict[str, Any], **fields: Any) -> Message:
    return read_response({**RESPONSE, "output": list(output), **fields}, "openai-responses")


def parts(message: Message) -> list[tuple[str, str, str]]:
    return [(part.start.kind, part.start.name, part.text) for part in message.parts]


def read_stream(data: bytes, dialect: str) -> Message:
    translator = Translator(dialect, dialect)
    translator.feed(data)
    translator.close()
    assert translator.error is None
    return translator.message


def signatures(message: Message) -> list[str]:
    return [part.signature.value if part.signature else "" for part in message.parts]


# The ways in


@pytest.mark.parametrize("source", BODIES)
def test_bytes_text_and_objects_are_the_same(source: str) -> None:
    body = BODIES[source]
    message = read_response(body, source)
    assert message.text() == "hi"
    assert message.ended
    assert message.usage is not None and (message.usage.input, message.usage.output) == (3, 2)
    for form in (json.dumps(body), json.dumps(body).encode(), b"\xef\xbb\xbf" + json.dumps(body, indent=1).encode()):
        assert read_response(form, source) == message


@pytest.mark.parametrize("target", BODIES)
@pytest.mark.parametrize("source", BODIES)
def test_each_to_each(source: str, target: str) -> None:
    translated = translate_response(BODIES[source], source, target, model="mine", normalize=True)
    assert translated.body["model"] == "mine"
    assert translated.losses == ()
    assert read_response(translated.body, target).text() == "hi"


@pytest.mark.parametrize("source", BODIES)
def test_the_same_dialect_leaves_the_body(source: str) -> None:
    body = {**BODIES[source], "of_nobody": [1]}
    assert translate_response(body, source, source, model="mine") == Translated(body)


def test_created_is_an_option_where_the_source_has_none() -> None:
    assert translate_response(ANTHROPIC, "anthropic", "openai-chat").body["created"] == 0
    assert translate_response(ANTHROPIC, "anthropic", "openai-chat", created=17).body["created"] == 17
    assert translate_response(RESPONSE, "openai-responses", "openai-chat", created=18).body["created"] == 17


@pytest.mark.parametrize("source", BODIES)
def test_replay_is_its_own_dialect_by_default(source: str) -> None:
    assert replay(BODIES[source], source) == replay(BODIES[source], source, source)
    translator = Translator(source, source)
    data = replay(BODIES[source], source)
    assert translator.feed(data) + translator.close() == data
    assert translator.error is None
    assert translator.message.text() == "hi"


@pytest.mark.parametrize("target", BODIES)
def test_replay_tells_what_is_lost(target: str) -> None:
    choices = [{"message": {"content": text}, "finish_reason": "stop"} for text in ("a", "b")]
    body = {**CHAT, "choices": choices}
    stream = replay(body, "openai-chat", target)
    assert isinstance(stream, Replayed)
    assert bytes(stream) == stream
    assert stream.losses == translate_response(body, "openai-chat", target, normalize=True).losses
    assert bool(stream.losses) == (target != "openai-chat")
    assert replay(CHAT, "openai-chat", target).losses == ()


def test_replay_takes_the_options_of_a_stream() -> None:
    assert b'"usage":{' in replay(ANTHROPIC, "anthropic", "openai-chat")
    assert b'"usage":{' not in replay(ANTHROPIC, "anthropic", "openai-chat", include_usage=False)


def test_listeners_hear_the_events() -> None:
    heard: list[str] = []

    class Ear:
        def on_events(self, events: list[Event], /) -> None:
            heard.extend(type(event).__name__ for event in events)

    translate_response(ANTHROPIC, "anthropic", "openai-chat", listeners=[Ear()])
    assert heard == ["StreamStart", "PartStart", "Delta", "PartEnd", "Finish", "StreamEnd"]


def test_frames_that_were_decoded_elsewhere() -> None:
    translator = Translator("anthropic", "openai-chat")
    for event, payload in dialects.get("anthropic").frames(ANTHROPIC):
        translator.feed_payload(event, payload)
    assert translator.feed_payload("ping", {"type": "ping"}) == b""
    translator.close()
    assert translator.message.text() == "hi"
    with pytest.raises(MisuseError, match="after close"):
        translator.feed_payload("ping", {"type": "ping"})


# Messages


def test_anthropic_blocks() -> None:
    blocks = [
        {"type": "thinking", "thinking": "hm", "signature": "c2ln"},
        {"type": "redacted_thinking", "data": "ZGF0YQ=="},
        {
            "type": "text",
            "text": "See",
            "citations": [{"type": "char_location", "cited_text": "x", "document_index": 0}],
        },
        {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "q"}},
        {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []},
        {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": 1}},
        {"type": "tool_use", "id": "toolu_2", "name": "g", "input": {}},
    ]
    message = read_response({**ANTHROPIC, "content": blocks, "stop_reason": "tool_use"}, "anthropic")
    assert parts(message) == [
        ("reasoning", "", "hm"),
        ("redacted", "", ""),
        ("text", "", "See"),
        ("server_tool", "web_search", '{"query":"q"}'),
        ("server_result", "web_search_tool_result", ""),
        ("tool", "f", '{"a":1}'),
        ("tool", "g", ""),
    ]
    assert signatures(message)[:2] == ["c2ln", "ZGF0YQ=="]
    assert message.parts[2].citations[0].cited_text == "x"
    again = translate_response({**ANTHROPIC, "content": blocks}, "anthropic", "anthropic", normalize=True)
    assert again.body["content"] == blocks


def test_anthropic_arguments_that_were_cut_come_back() -> None:
    cut = '{"path": "a.txt", "text": "It was'
    call = {"id": "call_1", "type": "function", "function": {"name": "save", "arguments": cut}}
    choices = [{"index": 0, "message": {"role": "assistant", "tool_calls": [call]}, "finish_reason": "length"}]
    there = translate_response({**CHAT, "choices": choices}, "openai-chat", "anthropic")
    assert there.body["content"][0]["input"] == {"_raw": cut}
    back = translate_response(there.body, "anthropic", "openai-chat")
    assert back.body["choices"][0]["message"]["tool_calls"] == [call]
    assert back.body["choices"][0]["finish_reason"] == "length"


@pytest.mark.parametrize("arguments", ["[1]", "oops", '{"a": ', "{a: 1}", '"text"'])
@pytest.mark.parametrize("target", ["anthropic", "gemini"])
def test_arguments_that_are_no_object_are_a_loss(target: str, arguments: str) -> None:
    """An answer has no place for them but an object of ours; a stream passes them on, and its client can't read them."""
    call = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": arguments}}
    choices = [{"message": {"role": "assistant", "tool_calls": [call]}, "finish_reason": "tool_calls"}]
    body = {**CHAT, "choices": choices}
    translated = translate_response(body, "openai-chat", target)
    (loss,) = translated.losses
    assert (loss.kind, loss.part) == ("custom_tool", 0)
    assert "`_raw`" in loss.detail
    assert json.dumps({"_raw": arguments}) in json.dumps(translated.body)
    stream = replay(body, "openai-chat", target)
    assert [(loss.kind, loss.part) for loss in stream.losses] == [("custom_tool", 0)]
    if target == "anthropic":
        assert read_stream(stream, target).parts[0].text == arguments


@pytest.mark.parametrize("input", [{"_raw": "text"}, {"_raw": "{}"}, {"_raw": "{", "b": 1}, {"_raw": 1}])
def test_anthropic_arguments_of_that_name(input: dict[str, Any]) -> None:
    block = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": input}
    message = read_response({**ANTHROPIC, "content": [block]}, "anthropic")
    assert json.loads(message.parts[0].text) == input


# Chat Completions


def test_chat_calls() -> None:
    """Without id or number, with the same id: each is a call of its own."""
    calls = [
        {"type": "function", "function": {"name": "f", "arguments": '{"a": '}},
        {"type": "function", "function": {"name": "f", "arguments": "{}"}},
        {"id": "x", "type": "function", "function": {"name": "g", "arguments": ""}},
        {"id": "x", "type": "function", "function": {"name": "g", "arguments": {"b": 1}}},
        {"id": "y", "type": "custom", "custom": {"name": "h", "input": "free"}},
    ]
    message = chat({"content": None, "tool_calls": calls}, "tool_calls")
    assert parts(message) == [
        ("tool", "f", '{"a": '),
        ("tool", "f", "{}"),
        ("tool", "g", ""),
        ("tool", "g", '{"b":1}'),
        ("custom_tool", "h", "free"),
    ]
    assert len({part.start.id for part in message.parts}) == 5
    assert all(part.end is not None for part in message.parts)


def test_chat_content_in_blocks_and_fields() -> None:
    content = [
        {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
        {"type": "text", "text": "a"},
        {"type": "text", "text": "b"},
    ]
    assert parts(chat({"content": content})) == [("reasoning", "", "hm"), ("text", "", "ab")]
    for field in ("reasoning", "reasoning_content"):
        assert parts(chat({"content": "a", field: "hm"})) == [("reasoning", "", "hm"), ("text", "", "a")]
    assert parts(chat({"content": None, "refusal": "no"})) == [("refusal", "", "no")]
    call = {"name": "f", "arguments": "{}"}
    message = chat({"content": None, "function_call": call}, "function_call")
    assert parts(message) == [("tool", "f", "{}")]
    assert message.finishes[0].reason.unified == "tool"


def test_chat_reasoning_details_keep_their_signatures() -> None:
    """They may lack the number that tells them apart."""
    details = [
        {"type": "reasoning.text", "text": "one", "signature": "c2lnMQ==", "format": "anthropic-claude-v1"},
        {"type": "reasoning.encrypted", "data": "ZGF0YQ==", "format": "anthropic-claude-v1"},
        {"type": "reasoning.text", "text": "two", "signature": "c2lnMg==", "format": "anthropic-claude-v1"},
    ]
    message = chat({"content": "a", "reasoning_details": details})
    assert parts(message) == [
        ("reasoning", "", "one"),
        ("redacted", "", ""),
        ("reasoning", "", "two"),
        ("text", "", "a"),
    ]
    assert signatures(message) == ["c2lnMQ==", "ZGF0YQ==", "c2lnMg==", ""]
    message = chat({"content": "a", "reasoning": "one", "reasoning_details": details[:1]})
    assert parts(message) == [("reasoning", "", "one"), ("text", "", "a")]
    assert signatures(message) == ["c2lnMQ==", ""]


def test_chat_refusals() -> None:
    """In its field, beside text, and as a part of the content."""
    for message in (
        {"content": "a", "refusal": "no"},
        {"content": [{"type": "text", "text": "a"}, {"type": "refusal", "refusal": "no"}]},
    ):
        assert parts(chat(message)) == [("text", "", "a"), ("refusal", "", "no")]
    assert chat({"content": "a", "refusal": "no"}).finishes[0].reason.unified == "end"


def test_chat_reasons_that_are_new() -> None:
    choices = [{"message": {"content": "a"}, "finish_reason": "of_nobody"}]
    body = {**CHAT, "choices": choices}
    reason = read_response(body, "openai-chat").finishes[0].reason
    assert (reason.unified, reason.raw) == ("unknown", "of_nobody")
    for target in BODIES:
        (loss,) = translate_response(body, "openai-chat", target, normalize=True).losses
        assert (loss.kind, loss.detail) == ("finish", "of_nobody")


def test_chat_audio_beside_text() -> None:
    audio = {"id": "audio_1", "data": "AAAA", "transcript": "hi", "expires_at": 9}
    choices = [{"message": {"content": "a", "audio": audio}, "finish_reason": "stop"}]
    body = {**CHAT, "choices": choices}
    assert [kind for kind, _, _ in parts(read_response(body, "openai-chat"))] == ["text", "audio"]
    again = translate_response(body, "openai-chat", "openai-chat", normalize=True).body["choices"][0]["message"]
    assert (again["content"], again["audio"]) == ("a", audio)
    (loss,) = translate_response(body, "openai-chat", "anthropic").losses
    assert (loss.kind, loss.part) == ("part", 1)


def test_chat_content_of_another_kind_is_a_loss() -> None:
    content = [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": "https://example.invalid"}}]
    body = {**CHAT, "choices": [{"message": {"content": content}, "finish_reason": "stop"}]}
    for target in BODIES:
        translated = translate_response(body, "openai-chat", target, normalize=True)
        assert [loss.kind for loss in translated.losses] == ["opaque"]
        assert read_response(translated.body, target).text() == "a"


def test_chat_rest() -> None:
    """Audio, annotations, log probabilities and several choices."""
    audio = {"id": "audio_1", "data": "AAAA", "transcript": "hi", "expires_at": 9}
    message = chat({"content": None, "audio": audio})
    assert [part.start.kind for part in message.parts] == ["audio"]
    cited = {"type": "url_citation", "url_citation": {"url": "https://example.invalid", "title": "t"}}
    logprobs = {"content": [{"token": "a", "logprob": -1.0, "bytes": None, "top_logprobs": []}], "refusal": None}
    message = chat({"content": "a", "annotations": [cited]}, logprobs=logprobs)
    assert message.parts[0].citations[0].url == "https://example.invalid"
    assert message.parts[0].logprobs == logprobs["content"]
    choices = [{"message": {"content": text}, "finish_reason": "stop"} for text in ("a", "b")]
    translated = translate_response({**CHAT, "choices": choices}, "openai-chat", "anthropic")
    assert [block["text"] for block in translated.body["content"]] == ["a"]
    assert [loss.kind for loss in translated.losses] == ["choice"]


def test_chat_fields_that_are_there_but_empty() -> None:
    """Snowflake serialises every field of its structs, and says nothing of why the model stopped."""
    empty = {
        "audio": {"data": "", "expires_at": 0, "id": "", "transcript": ""},
        "function_call": {"arguments": "", "name": ""},
        "refusal": "",
        "annotations": None,
    }
    call = {
        "custom": {"input": "", "name": ""},
        "function": {"name": "f", "arguments": "{}"},
        "id": "call_1",
        "type": "function",
    }
    message = chat({**empty, "content": "a", "tool_calls": [call]}, "")
    assert parts(message) == [("text", "", "a"), ("tool", "f", "{}")]
    assert message.finishes[0].reason.unified == "tool"
    body = {**CHAT, "choices": [{"message": {**empty, "content": "a"}, "finish_reason": ""}]}
    translated = translate_response(body, "openai-chat", "anthropic")
    assert translated.body["stop_reason"] == "end_turn"
    assert [loss.kind for loss in translated.losses] == ["finish"]


def test_what_nobody_understands_is_a_loss() -> None:
    message = {"role": "assistant", "content": "a", "graph_data": {"sources": [1]}}
    body = {**CHAT, "choices": [{"message": message, "finish_reason": "stop"}]}
    for target in BODIES:
        (loss,) = translate_response(body, "openai-chat", target, normalize=True).losses
        assert (loss.kind, loss.detail) == ("opaque", "openai-chat: graph_data")


# Responses


def test_response_items() -> None:
    text = {
        "type": "output_text",
        "text": "hi",
        "annotations": [{"type": "url_citation", "url": "https://example.invalid", "title": "t"}],
        "logprobs": [{"token": "hi", "logprob": -1.0, "bytes": [], "top_logprobs": []}],
    }
    message = response(
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "c2ln"},
        {"type": "reasoning", "id": "rs_2", "summary": [{"type": "summary_text", "text": "hm"}]},
        {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": "q"}},
        {"type": "message", "id": "msg_1", "content": [text, {"type": "refusal", "refusal": "no"}]},
        {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "f", "arguments": '{"a": '},
        {"type": "function_call", "name": "g", "arguments": "{}"},
        {"type": "custom_tool_call", "id": "ctc_1", "call_id": "call_2", "name": "h", "input": "free"},
        {"type": "of_nobody", "id": "x_1"},
    )
    assert parts(message) == [
        ("redacted", "", ""),
        ("reasoning", "", "hm"),
        ("server_tool", "web_search_call", ""),
        ("text", "", "hi"),
        ("refusal", "", "no"),
        ("tool", "f", '{"a": '),
        ("tool", "g", "{}"),
        ("custom_tool", "h", "free"),
        ("opaque", "of_nobody", ""),
    ]
    assert signatures(message)[0] == "c2ln"
    assert message.parts[3].citations[0].title == "t"
    assert message.parts[3].logprobs == text["logprobs"]
    assert message.parts[6].start.id.startswith("call_")
    assert message.finishes[0].reason.unified == "tool"


@pytest.mark.parametrize(
    ("fields", "finish"),
    [
        ({"status": "completed"}, "end"),
        ({"status": "complete"}, "end"),
        ({"status": None}, "end"),
        ({"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}, "length"),
        ({"status": "incomplete", "incomplete_details": {"reason": "content_filter"}}, "filtered"),
        ({"status": "cancelled"}, "cancelled"),
    ],
)
def test_response_status(fields: dict[str, Any], finish: str) -> None:
    message = response(RESPONSE["output"][0], **fields)
    assert message.finishes[0].reason.unified == finish
    assert message.text() == "hi"


def test_response_that_failed() -> None:
    with pytest.raises(StreamFailed) as raised:
        response(RESPONSE["output"][0], status="failed", error={"code": "rate_limit_exceeded", "message": "slower"})
    assert (raised.value.kind, raised.value.reason, raised.value.fault) == ("rate_limit", "slower", "provider")
    assert raised.value.partial is not None and raised.value.partial.text() == "hi"


@pytest.mark.parametrize("status", ["queued", "in_progress"])
def test_response_that_is_not_there_yet(status: str) -> None:
    with pytest.raises(StreamFailed, match=f"status must be that of a response that has ended, not '{status}'"):
        response(status=status)


# Bad bodies


WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("anthropic", {}, "content must be an array, not null"),
    ("anthropic", {"content": "hi"}, "content must be an array, not a string"),
    ("anthropic", {**ANTHROPIC, "content": [7]}, "content[0] must be an object, not a number"),
    (
        "anthropic",
        {**ANTHROPIC, "content": [{"type": "text", "text": 5}]},
        "content[0].text must be a string, not a number",
    ),
    ("anthropic", {**ANTHROPIC, "stop_reason": None}, "the response does not say why the model stopped"),
    ("openai-chat", {}, "choices must be an array, not null"),
    ("openai-chat", {"choices": []}, "choices must hold an answer"),
    ("openai-chat", {"choices": {"a": 1}}, "choices must be an array, not an object"),
    ("openai-chat", {"choices": [7]}, "choices[0] must be an object, not a number"),
    ("openai-chat", {"choices": [{"message": "x"}]}, "choices[0].message must be an object, not a string"),
    (
        "openai-chat",
        {"choices": [{"message": {"content": 5}}]},
        "choices[0].message.content must be a string, not a number",
    ),
    (
        "openai-chat",
        {"choices": [{"message": {"tool_calls": [{"function": {"name": "f", "arguments": 5}}]}}]},
        "choices[0].message.tool_calls[0].function.arguments must be a string, not a number",
    ),
    ("openai-responses", {}, "output must be an array, not null"),
    ("openai-responses", {"output": 5}, "output must be an array, not a number"),
    (
        "openai-responses",
        {"output": [{"type": "message", "content": 5}]},
        "output[0].content must be an array, not a number",
    ),
]


@pytest.mark.parametrize(("source", "body", "reason"), WRONG)
def test_a_wrong_field_is_named(source: str, body: dict[str, Any], reason: str) -> None:
    for read in (
        lambda: read_response(body, source),
        lambda: translate_response(body, source, "openai-chat"),
        lambda: translate_response(body, source, source),
        lambda: replay(body, source, "anthropic"),
    ):
        with pytest.raises(StreamFailed) as raised:
            read()
        assert raised.value.reason == reason
        assert raised.value.fault == "stream"


@pytest.mark.parametrize("source", BODIES)
@pytest.mark.parametrize("wrapped", [False, True])
def test_an_error_in_the_place_of_an_answer(source: str, wrapped: bool) -> None:
    error = {"type": "error", "error": {"type": "rate_limit_error", "message": "slower"}}
    with pytest.raises(StreamFailed) as raised:
        translate_response(json.dumps([error] if wrapped else error), source, "openai-chat")
    assert (raised.value.kind, raised.value.reason, raised.value.fault) == ("rate_limit", "slower", "provider")


@pytest.mark.parametrize(
    ("body", "kind", "reason"),
    [
        (b"", "truncated", "the body is empty"),
        (b" \n", "truncated", "the body is empty"),
        (b"<html>", "protocol", "the body is not JSON (JSON is malformed: invalid character (byte 0)): '<html>'"),
        ('{"id": "x", ', "protocol", 'the body is not JSON (Input data was truncated): \'{"id": "x",\''),
        ("[1, 2]", "protocol", "the body must be a JSON object, not '[1, 2]'"),
        ("7", "protocol", "the body must be a JSON object, not '7'"),
    ],
)
@pytest.mark.parametrize("source", BODIES)
def test_no_object(source: str, body: bytes | str, kind: str, reason: str) -> None:
    with pytest.raises(StreamFailed) as raised:
        read_response(body, source)
    assert (raised.value.kind, raised.value.reason) == (kind, reason)


@pytest.mark.parametrize("source", BODIES)
def test_nesting_without_end(source: str) -> None:
    with pytest.raises(StreamFailed, match="nested too deep"):
        read_response(b'{"content":' * 20_000, source)


def test_limits_hold() -> None:
    blocks = [{"type": "text", "text": "a"}] * 5
    with pytest.raises(StreamFailed, match="more than 3 parts") as raised:
        read_response({**ANTHROPIC, "content": blocks}, "anthropic", max_parts=3)
    assert raised.value.partial is not None and raised.value.partial.text() == "aaa"


def test_misuse() -> None:
    with pytest.raises(MisuseError, match="unknown dialect"):
        read_response(ANTHROPIC, "nobody")
    with pytest.raises(MisuseError, match="unknown dialect"):
        translate_response(ANTHROPIC, "anthropic", "nobody")
    with pytest.raises(MisuseError, match="unknown dialect"):
        replay(ANTHROPIC, "anthropic", "nobody")
    with pytest.raises(MisuseError, match="unknown quirk"):
        read_response(ANTHROPIC, "anthropic", quirks=["nobody"])
