"""Calls get the client's names back, and custom tools their text."""

import json
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccproxy import Translator, translate_request, translate_response
from ccproxy.core.request import ToolName
from ccproxy.core.tools import InputText

TOOLS = {"crm__find": ToolName("crm", "find", False), "apply_patch": ToolName("", "apply_patch", True)}


def pieces(text: str, cuts: Sequence[int]) -> list[str]:
    places = [0, *sorted(cut % (len(text) + 1) for cut in cuts), len(text)]
    return [text[a:b] for a, b in pairwise(places)]


def read(parts: Sequence[str]) -> tuple[list[str], str, bool]:
    """What each piece gave, what the end gave, and whether anything was lost."""
    input = InputText()
    given = [input.feed(part) for part in parts]
    return given, input.end(), bool(input.lost)


@given(text=st.text(st.characters(exclude_categories=())), cuts=st.lists(st.integers(0, 10_000), max_size=8))
@pytest.mark.parametrize("ascii", [True, False])
def test_any_text_in_any_pieces(text: str, cuts: list[int], ascii: bool) -> None:
    expected = json.loads(json.dumps(text))  # two halves of a character are one
    given, end, lost = read(pieces(json.dumps({"input": text}, ensure_ascii=ascii), cuts))
    joined = "".join(given) + end
    assert joined.encode("utf-16", "surrogatepass") == expected.encode("utf-16", "surrogatepass")
    assert not lost


def test_each_piece_gives_what_it_has() -> None:
    given, end, lost = read(['{"in', 'put": "a', "b\\", "nc\\u00", 'e9"', " }\n"])
    assert (given, end, lost) == (["", "a", "b", "\nc", "é", ""], "", False)


def test_half_a_character_waits_for_the_other() -> None:
    assert read(['{"input":"\\ud83d', '\\ude00"}'])[0] == ["", "😀"]
    assert read(['{"input":"\\ud83d', 'x\\ud83d"}'])[0] == ["", "\ud83dx\ud83d"]
    assert read(['{"input":"\\ud83d'])[1] == "\ud83d"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ('{"x":[{"input":"no"},"]"],"y":{"z":"}"},"n":-1.5e3,"input":"yes","t":true}', "yes"),
        ('{"input":"yes","input":"no"}', "yes"),
        ('{"input":"yes"} and more', "yes"),
        ('{"input":"yes" x', "yes"),
        ('  *** Begin Patch\n{"input":"no"}', '  *** Begin Patch\n{"input":"no"}'),
        ('"yes"', '"yes"'),
        ('{"input":5}', '{"input":5}'),
        ('{"input":{"input":"no"}}', '{"input":{"input":"no"}}'),
        ('{"patch":"text"}', '{"patch":"text"}'),
        ("{}", "{}"),
        ("{patch", "{patch"),
    ],
)
def test_what_is_no_text_under_input_is_a_loss(arguments: str, text: str) -> None:
    """Other keys are left out; without the text the arguments come as they are."""
    for parts in ([arguments], list(arguments)):
        given, end, lost = read(parts)
        assert "".join(given) + end == text
        assert lost


@pytest.mark.parametrize(("arguments", "text"), [("", ""), ("  ", ""), ('{"input":""}', ""), ('{"input":"cut', "cut")])
def test_nothing_is_no_loss(arguments: str, text: str) -> None:
    given, end, lost = read([arguments])
    assert "".join(given) + end == text
    assert not lost


def test_a_wrong_escape_is_kept() -> None:
    assert "".join(read(list('{"input":"a\\x\\u12"}'))[0]) == "a\\x\\u12"


# In streams


def chunk(delta: dict[str, Any], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return b"data: " + json.dumps({"id": "c-1", "model": "m", "choices": [choice]}).encode() + b"\n\n"


def fragments(index: int, name: str, *arguments: str) -> list[bytes]:
    first = {"index": index, "id": f"call_{index}", "type": "function", "function": {"name": name, "arguments": ""}}
    rest = [{"index": index, "function": {"arguments": text}} for text in arguments]
    return [chunk({"tool_calls": [call]}) for call in (first, *rest)]


STREAM = [
    *fragments(0, "crm__find", "{}"),
    *fragments(1, "apply_patch", '{"inp', 'ut":"', *"patch", '\\n"', "}"),
    *fragments(2, "other", *['{"a":', *["1"] * 40, "}"]),
    chunk({}, "tool_calls"),
    b"data: [DONE]\n\n",
]


def responses(*reads: bytes) -> list[dict[str, Any]]:
    translator = Translator("openai-chat", "openai-responses", tools=TOOLS)
    out = b"".join(map(translator.feed, reads)) + translator.close()
    assert translator.error is None and not translator.losses
    return [json.loads(line[6:]) for line in out.split(b"\n") if line.startswith(b"data: ")]


def test_a_stream_however_it_is_cut() -> None:
    whole = responses(b"".join(STREAM))
    assert responses(*STREAM) == whole
    assert responses(*(bytes([byte]) for byte in b"".join(STREAM))) == whole
    done = [frame["item"] for frame in whole if frame["type"] == "response.output_item.done"]
    told = [{key: item.get(key) for key in ("type", "name", "namespace", "arguments", "input")} for item in done]
    assert told == [
        {"type": "function_call", "name": "find", "namespace": "crm", "arguments": "{}", "input": None},
        {"type": "custom_tool_call", "name": "apply_patch", "namespace": None, "arguments": None, "input": "patch\n"},
        {
            "type": "function_call",
            "name": "other",
            "namespace": None,
            "arguments": '{"a":' + "1" * 40 + "}",
            "input": None,
        },
    ]


def test_the_text_leaves_with_its_event() -> None:
    translator = Translator("openai-chat", "openai-responses", tools=TOOLS)
    steps = [translator.feed(read) for read in fragments(1, "apply_patch", '{"input":"', "a", "b\\n", '"}')]
    deltas = [
        [json.loads(line[6:]).get("delta") for line in step.split(b"\n") if b"input.delta" in line and b"data" in line]
        for step in steps
    ]
    assert deltas == [[], [], ["a"], ["b\n"], []]


def test_what_no_text_can_say_is_a_loss_of_the_part() -> None:
    translator = Translator("openai-chat", "openai-responses", tools=TOOLS)
    reads = [*fragments(0, "apply_patch", '{"patch":', '"x"}'), chunk({}, "tool_calls")]
    out = b"".join(map(translator.feed, reads)) + translator.close()
    assert b'"input":"{\\"patch\\":\\"x\\"}"' in out
    assert [(loss.kind, loss.part) for loss in translator.losses] == [("custom_tool", 0)]


def test_an_error_is_placed_where_it_was() -> None:
    """Though events before it gave nothing, or more."""
    bad = b"data: {\n\n"
    reads = [*fragments(0, "apply_patch", '{"patch":', '"x"}'), *fragments(1, "apply_patch", '{"input":"a"}'), bad]
    for cut in ([b"".join(reads)], reads):
        translator = Translator("openai-chat", "openai-responses", tools=TOOLS)
        for read in cut:
            translator.feed(read)
        assert translator.error is not None
        assert (translator.error.frame, translator.error.offset) == (5, len(b"".join(reads[:5])))


@pytest.mark.parametrize("size", [1, 10_000])
def test_a_limit_is_placed_where_it_was_passed(size: int) -> None:
    """What waits for another part is counted in the text that it is for the client."""
    reads = [
        *fragments(0, "crm__find", '{"open":'),
        *fragments(1, "apply_patch", '{"input":"', *["x" * 10] * 20, '"}'),
    ]
    data = b"".join(reads)
    cuts = reads if size == 1 else [data]
    translator = Translator("openai-chat", "openai-responses", tools=TOOLS, max_waiting=55)
    for read in cuts:
        translator.feed(read)
    assert translator.error is not None and translator.error.kind == "too_large"
    assert translator.error.frame == 9


def test_a_body() -> None:
    calls = [
        {"id": "call_0", "type": "function", "function": {"name": "crm__find", "arguments": "{}"}},
        {"id": "call_1", "type": "function", "function": {"name": "apply_patch", "arguments": '{"input":"p\\n"}'}},
    ]
    message = {"role": "assistant", "content": None, "tool_calls": calls}
    body = {"id": "c-1", "model": "m", "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}]}
    output = translate_response(body, "openai-chat", "openai-responses", tools=TOOLS).body["output"]
    assert [(item["type"], item["name"], item.get("namespace")) for item in output] == [
        ("function_call", "find", "crm"),
        ("custom_tool_call", "apply_patch", None),
    ]
    assert output[1]["input"] == "p\n"


def test_there_and_back() -> None:
    """The tools of a request are what its answer needs."""
    custom = {"type": "custom", "name": "apply_patch"}
    spaced = {"type": "namespace", "name": "crm", "tools": [{"type": "function", "name": "find", "parameters": {}}]}
    request = {"model": "m", "input": "hi", "tools": [custom, spaced]}
    sent = translate_request(request, "openai-responses", "openai-chat")
    assert {tool["function"]["name"] for tool in sent.body["tools"]} == {"apply_patch", "crm__find"}
    assert sent.tools == TOOLS


def test_where_the_dialect_has_no_namespaces_the_name_is_flat() -> None:
    item = {
        "type": "function_call",
        "id": "fc_1",
        "call_id": "c1",
        "name": "find",
        "namespace": "crm",
        "arguments": "{}",
    }
    body = {"id": "resp_1", "model": "m", "status": "completed", "output": [item]}
    assert translate_response(body, "openai-responses", "anthropic").body["content"][0]["name"] == "crm__find"
    item["namespace"] = "find"  # a tool that was found and is in no namespace
    assert translate_response(body, "openai-responses", "anthropic").body["content"][0]["name"] == "find"
