"""The SSE strings of the formatters, to the byte."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ccproxy.llms.streaming import AnthropicSSEFormatter, OpenAISSEFormatter

from .streams import Json, chat_chunk

HEAD = '{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":"m"'
ARGS = ("chatcmpl-1", "m", 1700000000)

TEXTS = [
    "",
    "plain",
    'quotes " and \\ and /',
    "line\nfeed, return\r\n, tab\t, bell\x07, nul\x00",
    "é – 語 – 😀",
    "separators \u2028 \u2029 \x85",
    "data: [DONE]\n\ndata: {}",
    "</script>",
]


def choice(delta: str, finish: str = "null", index: int = 0) -> str:
    return f',"choices":[{{"index":{index},"delta":{delta},"logprobs":null,"finish_reason":{finish}}}]'


def frame(rest: str) -> str:
    return f"data: {HEAD}{rest}}}\n\n"


def tool(function: str, index: int = 0) -> str:
    return f'{{"tool_calls":[{{"index":{index},"id":"call_1","type":"function","function":{function}}}]}}'


def only_choice(text: str) -> Json:
    (found,) = chat_chunk(text)["choices"]
    return dict(found)


# -- Anthropic --------------------------------------------------------------------------------------------------------


def test_event_has_its_name_line_and_compact_json() -> None:
    data = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hi"}}
    assert AnthropicSSEFormatter.format_event("content_block_delta", data) == (
        "event: content_block_delta\n"
        'data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hi"}}\n\n'
    )


def test_event_is_named_as_asked() -> None:
    assert AnthropicSSEFormatter.format_event("custom", {}) == "event: custom\ndata: {}\n\n"


def test_event_keeps_order_numbers_and_constants() -> None:
    data = {"z": 1, "a": [1.5, -2, 0, 10**15], "n": None, "t": True, "f": False, "o": {}, "l": []}
    assert AnthropicSSEFormatter.format_event("x", data) == (
        'event: x\ndata: {"z":1,"a":[1.5,-2,0,1000000000000000],"n":null,"t":true,"f":false,"o":{},"l":[]}\n\n'
    )


def test_ping() -> None:
    assert AnthropicSSEFormatter.format_ping() == 'event: ping\ndata: {"type": "ping"}\n\n'


def test_done() -> None:
    assert AnthropicSSEFormatter.format_done() == "data: [DONE]\n\n"
    assert OpenAISSEFormatter.format_done() == "data: [DONE]\n\n"


# -- OpenAI -----------------------------------------------------------------------------------------------------------


def test_data_event() -> None:
    assert OpenAISSEFormatter.format_data_event({}) == "data: {}\n\n"
    assert OpenAISSEFormatter.format_data_event({"type": "test", "message": "hello"}) == (
        'data: {"type":"test","message":"hello"}\n\n'
    )


def test_first_chunk() -> None:
    assert OpenAISSEFormatter.format_first_chunk(*ARGS) == frame(choice('{"role":"assistant"}'))
    assert OpenAISSEFormatter.format_first_chunk(*ARGS, "user") == frame(choice('{"role":"user"}'))


def test_content_chunk() -> None:
    assert OpenAISSEFormatter.format_content_chunk(*ARGS, "Hi") == frame(choice('{"content":"Hi"}'))
    assert OpenAISSEFormatter.format_content_chunk(*ARGS, "", 2) == frame(choice('{"content":""}', index=2))


def test_tool_call_chunk_has_only_the_parts_it_was_given() -> None:
    make = OpenAISSEFormatter.format_tool_call_chunk
    assert make(*ARGS, "call_1") == frame(choice(tool("{}")))
    assert make(*ARGS, "call_1", "f") == frame(choice(tool('{"name":"f"}')))
    assert make(*ARGS, "call_1", function_arguments="") == frame(choice(tool('{"arguments":""}')))
    assert make(*ARGS, "call_1", "f", '{"a": 1}') == frame(choice(tool('{"name":"f","arguments":"{\\"a\\": 1}"}')))


def test_tool_call_chunk_indexes() -> None:
    text = OpenAISSEFormatter.format_tool_call_chunk(*ARGS, "call_1", "f", "{}", 3, 1)
    assert text == frame(choice(tool('{"name":"f","arguments":"{}"}', index=3), index=1))
    assert text == OpenAISSEFormatter.format_tool_call_chunk(
        message_id="chatcmpl-1",
        model="m",
        created=1700000000,
        tool_call_id="call_1",
        function_name="f",
        function_arguments="{}",
        tool_call_index=3,
        choice_index=1,
    )


def test_final_chunk() -> None:
    assert OpenAISSEFormatter.format_final_chunk(*ARGS) == frame(choice("{}", '"stop"'))
    assert OpenAISSEFormatter.format_final_chunk(*ARGS, "length", 1) == frame(choice("{}", '"length"', 1))


def test_final_chunk_with_usage_after_the_choices() -> None:
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    assert OpenAISSEFormatter.format_final_chunk(*ARGS, "tool_calls", usage=usage) == frame(
        choice("{}", '"tool_calls"') + ',"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}'
    )


@pytest.mark.parametrize("usage", [None, {}])
def test_final_chunk_without_usage_has_no_such_key(usage: Json | None) -> None:
    assert "usage" not in chat_chunk(OpenAISSEFormatter.format_final_chunk(*ARGS, usage=usage))


def test_error_chunk() -> None:
    assert OpenAISSEFormatter.format_error_chunk(*ARGS, "api_error", "boom") == frame(
        choice("{}", '"error"') + ',"error":{"type":"api_error","message":"boom"}'
    )


# -- any text ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", TEXTS)
def test_any_text_stays_in_one_frame(text: str) -> None:
    content = only_choice(OpenAISSEFormatter.format_content_chunk(*ARGS, text))["delta"]["content"]
    part = only_choice(OpenAISSEFormatter.format_tool_call_chunk(*ARGS, text, text, text))["delta"]["tool_calls"][0]
    error = chat_chunk(OpenAISSEFormatter.format_error_chunk(*ARGS, text, text))["error"]
    assert content == part["id"] == part["function"]["name"] == part["function"]["arguments"] == text
    assert error == {"type": text, "message": text}


@pytest.mark.parametrize("text", TEXTS)
def test_any_text_stays_in_one_event(text: str) -> None:
    name, data, *rest = AnthropicSSEFormatter.format_event("x", {"type": "x", "text": text}).split("\n")
    assert (name, rest) == ("event: x", ["", ""])
    assert json.loads(data.removeprefix("data: ")) == {"type": "x", "text": text}


@pytest.mark.parametrize("half", [chr(0xD83D), chr(0xDE00), f"a{chr(0xD83D)}b"], ids=["high", "low", "within"])
def test_half_a_surrogate_pair_can_be_sent(half: str) -> None:
    """Providers cut a pair between two deltas; the string must survive `.encode()`."""
    for text in (
        OpenAISSEFormatter.format_data_event({"text": half}),
        AnthropicSSEFormatter.format_event("x", {"text": half}),
    ):
        assert json.loads(text.encode().split(b"data: ", 1)[1]) == {"text": half}
    chunk = json.loads(OpenAISSEFormatter.format_content_chunk(*ARGS, half).encode().removeprefix(b"data: "))
    assert chunk["choices"][0]["delta"] == {"content": half}


def test_the_data_given_is_not_changed() -> None:
    data: dict[str, Any] = {"type": "x", "list": [{"a": 1}]}
    AnthropicSSEFormatter.format_event("y", data)
    OpenAISSEFormatter.format_data_event(data)
    assert data == {"type": "x", "list": [{"a": 1}]}
