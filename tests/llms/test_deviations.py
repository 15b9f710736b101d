"""`docs/deviations.md`, row by row: each id there is a test here, each test here is a row there."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from ccproxy.llms.streaming import (
    AnthropicStreamProcessor,
    ClaudeAccumulator,
    OpenAIAccumulator,
    OpenAIStreamProcessor,
    ResponsesAccumulator,
    StreamAccumulator,
)

from . import streams
from .streams import (
    CALL,
    DONE,
    MESSAGE,
    REASONING,
    Dumped,
    Json,
    accumulated,
    anthropic_event,
    calls,
    chat_chunks,
    chunk,
    deltas,
    finishes,
    joined,
    live,
    run,
    tool_texts,
    usages,
)

TABLE = Path(__file__).parents[2] / "docs" / "deviations.md"
ROW = re.compile(r"^\| `([a-z-]+)` \|((?:[^|]+\|){4})$", re.MULTILINE)
META = "test_table_"


def rows() -> list[str]:
    return [match[1] for match in ROW.finditer(TABLE.read_text(encoding="utf-8"))]


def test_table_rows_are_tests() -> None:
    tests = {name for name in globals() if name.startswith("test_") and not name.startswith(META)}
    assert tests == {"test_" + row.replace("-", "_") for row in rows()}


def test_table_rows_are_whole() -> None:
    """No id twice, no row of another form, no empty cell."""
    text = TABLE.read_text(encoding="utf-8")
    assert len(set(rows())) == len(rows())
    assert [line.split("`")[1] for line in text.splitlines() if line.startswith("| `")] == rows()
    assert all(cell.strip() for match in ROW.finditer(text) for cell in match[2].removesuffix("|").split("|"))


def chunks(*events: Json, **options: Any) -> list[Json]:
    return run(OpenAIStreamProcessor(**options, output_format="dict"), events)


def frames(*events: Json) -> list[str]:
    return run(OpenAIStreamProcessor(), events)


def reframed(*events: Json, **options: Any) -> list[Json]:
    return [anthropic_event(frame) for frame in run(AnthropicStreamProcessor(**options), events)]


def claude(*events: Json) -> ClaudeAccumulator:
    return accumulated(ClaudeAccumulator(), events)


def openai(*events: Json) -> OpenAIAccumulator:
    return accumulated(OpenAIAccumulator(), events)


def responses(*events: Json) -> ResponsesAccumulator:
    return accumulated(ResponsesAccumulator(), streams.numbered(events))


def rebuilt(accumulator: StreamAccumulator, argument: Json | None = None) -> Json:
    return accumulator.rebuild_response_object(argument or {})


# -- OpenAIStreamProcessor --------------------------------------------------------------------------------------------


def test_plain_script() -> None:
    program = """
import asyncio
from ccproxy.llms.streaming import OpenAIStreamProcessor

async def source():
    yield {"type": "message_start", "message": {"id": "msg_1"}}
    yield {"type": "message_delta", "delta": {"stop_reason": "end_turn"}}
    yield {"type": "message_stop"}

async def main():
    return [chunk["choices"][0]["finish_reason"] async for chunk in OpenAIStreamProcessor(output_format="dict").process_stream(source())]

print(asyncio.run(main()))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("[None, 'stop']\n", "")


def test_tool_index() -> None:
    assert list(calls(chunks(*streams.anthropic()))) == [0, 1]
    assert list(calls(chat_chunks(frames(*streams.anthropic())))) == [0, 1]


def test_interleaved_tools() -> None:
    found = chunks(
        streams.message_start(),
        streams.tool_start(0, "a", "f"),
        streams.tool_start(1, "b", "g"),
        streams.arguments(0, '{"x":1}'),
        streams.arguments(1, '{"y":2}'),
        streams.stop(0),
        streams.stop(1),
        streams.message_delta("tool_use"),
        streams.MESSAGE_STOP,
    )
    assert tool_texts(found) == [("a", "f", '{"x":1}'), ("b", "g", '{"y":2}')]


def test_arguments_live() -> None:
    events = streams.answer(streams.tool_block(0, "t", "f", '{"a":', "1}"), stop_reason="tool_use")
    out = live(OpenAIStreamProcessor(output_format="dict"), events)
    sent = [
        (at, text)
        for at, item in out
        for fields in deltas([item])
        for call in fields.get("tool_calls") or []
        if (text := call["function"].get("arguments"))
    ]
    assert sent == [(3, '{"a":'), (4, "1}")]


def test_no_arguments() -> None:
    found = chunks(*streams.answer(streams.tool_block(0, "t", "f"), stop_reason="tool_use"))
    assert tool_texts(found) == [("t", "f", "{}")]


def test_whole_input() -> None:
    block = [streams.start(0, type="tool_use", id="t", name="f", input={"a": 1}), streams.stop(0)]
    ((_, _, text),) = tool_texts(chunks(*streams.answer(block, stop_reason="tool_use")))
    assert json.loads(text) == {"a": 1}


def test_finish_reason() -> None:
    assert finishes(chunks(*streams.anthropic())) == ["tool_calls"]
    assert finishes(chunks(*streams.answer(streams.text_block(0, "x"), stop_reason="max_tokens"))) == ["length"]
    assert finishes(chunks(*streams.answer(stop_reason="refusal"))) == ["content_filter"]
    called = streams.tool_block(0, "t", "f", "{}")
    assert finishes(chunks(*streams.answer(called, stop_reason="max_tokens"))) == ["length"]


def test_errors() -> None:
    out = frames(streams.message_start(), *streams.text_block(0, "x"), streams.error_event())
    found = chat_chunks(out)
    assert found[-1]["error"]["message"] == "Overloaded"
    assert found[-1]["error"]["type"]
    assert "stop" not in finishes(found)
    assert DONE not in out


def test_truncated() -> None:
    for events in ([], [streams.message_start(), *streams.text_block(0, "x")]):
        out = frames(*events)
        found = chat_chunks(out)
        assert found[-1]["error"]["message"]
        assert "stop" not in finishes(found)
        assert DONE not in out


def test_source_fails() -> None:
    out = run(OpenAIStreamProcessor(), [streams.message_start()], OSError("no route"))
    assert "no route" in chat_chunks(out)[-1]["error"]["message"]
    assert DONE not in out
    found = run(OpenAIStreamProcessor(output_format="dict"), [streams.message_start()], OSError("no route"))
    assert "no route" in found[-1]["error"]["message"]


def test_usage() -> None:
    opened = {"input_tokens": 10, "cache_read_input_tokens": 5, "cache_creation_input_tokens": 2, "output_tokens": 1}
    (usage,) = usages(chunks(streams.message_start(opened), streams.message_delta("end_turn"), streams.MESSAGE_STOP))
    assert (usage["prompt_tokens"], usage["completion_tokens"], usage["total_tokens"]) == (17, 7, 24)
    assert usage["prompt_tokens_details"]["cached_tokens"] == 5


def test_prefilled() -> None:
    start = streams.message_start(content=[{"type": "text", "text": "whole"}], stop_reason="end_turn")
    assert joined(chunks(start, streams.MESSAGE_STOP)) == "whole"


def test_text_in_start() -> None:
    block = [streams.start(0, type="text", text="Hel"), streams.delta(0, "text_delta", text="lo"), streams.stop(0)]
    assert joined(chunks(*streams.answer(block))) == "Hello"


def test_thinking_off() -> None:
    found = chunks(*streams.anthropic(), enable_thinking_serialization=False)
    assert joined(found, "reasoning_content") == "Two cities, two calls."


def test_thinking_unsigned() -> None:
    found = chunks(*streams.answer(streams.thinking_block(0, None, "a")), enable_thinking_serialization=True)
    assert joined(found) == "<thinking>a</thinking>"


def test_thinking_hidden() -> None:
    found = chunks(*streams.answer(streams.thinking_block(0, "sig")), enable_thinking_serialization=True)
    assert joined(found) == '<thinking signature="sig"></thinking>'


def test_thinking_cut() -> None:
    events = [streams.message_start(), *streams.thinking_block(0, "sig", "so far")[:2]]
    found = chunks(*events, enable_thinking_serialization=True)
    assert "so far" in joined(found)
    assert found[-1]["error"]


def test_thinking_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("LLM__OPENAI_THINKING_XML", raising=False)
    (tmp_path / ".ccproxy.toml").write_text("[llm]\nopenai_thinking_xml = false\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert "<thinking" in joined(chunks(*streams.anthropic()))
    monkeypatch.setenv("LLM__OPENAI_THINKING_XML", "false")
    assert "<thinking" not in joined(chunks(*streams.anthropic()))


def test_reuse() -> None:
    processor = OpenAIStreamProcessor(output_format="dict")
    answer = streams.answer(streams.text_block(0, "x"))
    first, second = run(processor, answer), run(processor, answer)
    assert first == second
    assert second[0]["choices"][0]["delta"]["role"] == "assistant"
    assert len(usages(second)) == 1


def test_sdk_blocks() -> None:
    found = chunks(
        *streams.answer(
            [streams.start(0, type="system_message", text="from the SDK", source="sdk"), streams.stop(0)],
            [streams.start(1, type="tool_use_sdk", id="t", name="f", input={"a": 1}), streams.stop(1)],
            streams.text_block(2, "x"),
        )
    )
    assert joined(found) == "x"
    assert calls(found) == {}
    assert finishes(found) == ["stop"]


# -- AnthropicStreamProcessor -----------------------------------------------------------------------------------------


def test_openai_chunks() -> None:
    found = reframed(chunk({"role": "assistant", "content": "Hi"}), chunk({}, "stop"))
    assert [item["type"] for item in found] == [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    assert found[2]["delta"] == {"type": "text_delta", "text": "Hi"}
    assert found[4]["delta"]["stop_reason"] == "end_turn"


def test_model_name() -> None:
    assert reframed(chunk({"content": "Hi"}), chunk({}, "stop"), model="alias")[0]["message"]["model"] == "alias"


def test_block_starts() -> None:
    assert reframed(*streams.anthropic()) == streams.anthropic()


def test_anthropic_errors() -> None:
    events = [streams.message_start(), streams.error_event()]
    assert reframed(*events) == events


def test_anthropic_truncated() -> None:
    found = reframed(streams.message_start(), *streams.text_block(0, "x"))
    assert found[-1]["type"] == "error"
    assert found[-1]["error"]["message"]


# -- every accumulator ------------------------------------------------------------------------------------------------


def test_sdk_objects() -> None:
    for make, events in (
        (ClaudeAccumulator, streams.anthropic()),
        (OpenAIAccumulator, streams.chat()),
        (ResponsesAccumulator, streams.responses()),
    ):
        objects = make()
        for item in events:
            objects.accumulate(item.get("type", ""), Dumped(item))  # type: ignore[arg-type]
        assert len(objects.get_complete_tool_calls()) == 2


def test_aliases() -> None:
    accumulator = claude(*streams.anthropic())
    before = deepcopy(rebuilt(accumulator))
    rebuilt(accumulator)["content"][2]["input"]["city"] = "changed"
    info = accumulator.get_block_info(1)
    assert info is not None
    info[1]["text"] = "changed"
    assert rebuilt(accumulator) == before
    chat = openai(*streams.chat())
    rebuilt(chat)["choices"][0]["message"]["content"] = "changed"
    assert rebuilt(chat)["choices"][0]["message"]["content"] == "Hello"


def test_own_fields() -> None:
    assert rebuilt(claude(*streams.anthropic()), {"mine": 1})["mine"] == 1
    assert rebuilt(openai(*streams.chat()), {"mine": 1})["mine"] == 1
    assert rebuilt(responses(streams.terminal()), {"mine": 1})["mine"] == 1


def test_repair_json() -> None:
    cut = claude(*streams.answer(streams.tool_block(0, "t", "f", '{"a'), stop_reason="max_tokens"))
    assert cut.get_complete_tool_calls() == []
    assert rebuilt(cut)["content"][0]["id"] == "t"
    chat = openai(chunk(streams.call(0, '{"a', call_id="c", name="f")), chunk({}, "length"))
    assert chat.get_complete_tool_calls() == []
    assert rebuilt(chat)["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"] == '{"a'


def test_empty_arguments() -> None:
    chat = openai(chunk(streams.call(0, "", call_id="c", name="f")), chunk({}, "tool_calls"))
    item = responses(*streams.opening(), *streams.call_item(0, CALL | {"arguments": ""}))
    for accumulator in (chat, item):
        (found,) = accumulator.get_complete_tool_calls()
        assert json.loads(found["function"]["arguments"]) == {}


# -- ClaudeAccumulator ------------------------------------------------------------------------------------------------


def test_data_only() -> None:
    accumulator = ClaudeAccumulator()
    for item in streams.anthropic():
        accumulator.accumulate("", item)
    assert rebuilt(accumulator) == rebuilt(claude(*streams.anthropic()))
    assert len(accumulator.get_complete_tool_calls()) == 2


def test_name_only() -> None:
    accumulator = ClaudeAccumulator()
    for item in streams.anthropic():
        accumulator.accumulate(item["type"], {key: value for key, value in item.items() if key != "type"})
    assert rebuilt(accumulator) == rebuilt(claude(*streams.anthropic()))
    assert len(accumulator.get_complete_tool_calls()) == 2


def test_incomplete_tools() -> None:
    assert claude(streams.message_start(), streams.tool_start(0, "t", "f")).get_complete_tool_calls() == []


def test_arguments_verbatim() -> None:
    (call,) = claude(
        *streams.answer(streams.tool_block(0, "t", "f", '{"a":1.0 ,', '"b":"é"}'))
    ).get_complete_tool_calls()
    assert call["function"]["arguments"] == '{"a":1.0 ,"b":"é"}'


def test_open_blocks() -> None:
    accumulator = claude(streams.message_start(), *streams.text_block(0, "Hel", "lo")[:2])
    assert rebuilt(accumulator)["content"] == [{"type": "text", "text": "Hel"}]


def test_signatures() -> None:
    assert rebuilt(claude(*streams.anthropic()))["content"][0]["signature"] == "c2lnbmVk"


def test_citations() -> None:
    citation = {"type": "char_location", "cited_text": "x", "document_index": 0}
    block = streams.text_block(0, "x")
    block.insert(1, streams.delta(0, "citations_delta", citation=citation))
    assert rebuilt(claude(*streams.answer(block)))["content"][0]["citations"] == [citation]


def test_block_kinds() -> None:
    blocks = [
        {"type": "redacted_thinking", "data": "b3BhcXVl"},
        {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}},
        {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []},
        {"type": "block_of_tomorrow", "x": 1},
    ]
    events = [[streams.start(index, **block), streams.stop(index)] for index, block in enumerate(blocks)]
    assert rebuilt(claude(*streams.answer(*events)))["content"] == blocks


def test_prefilled_message() -> None:
    content = [{"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}}]
    accumulator = claude(streams.message_start(content=content, stop_reason="tool_use"), streams.MESSAGE_STOP)
    assert rebuilt(accumulator)["content"] == content
    assert rebuilt(accumulator)["stop_reason"] == "tool_use"


def test_start_text() -> None:
    block = [streams.start(0, type="text", text="Hel"), streams.delta(0, "text_delta", text="lo"), streams.stop(0)]
    assert rebuilt(claude(*streams.answer(block)))["text"] == "Hello"


def test_no_index() -> None:
    events = [*streams.text_block(0, "ha"), *streams.text_block(0, "ha")]
    for item in events:
        del item["index"]
    assert [block["text"] for block in rebuilt(claude(*events))["content"]] == ["ha", "ha"]


def test_claude_usage() -> None:
    opened = {"input_tokens": 10, "output_tokens": 1, "cache_creation_input_tokens": 3, "service_tier": "standard"}
    accumulator = claude(streams.message_start(opened), streams.message_delta("end_turn"), streams.MESSAGE_STOP)
    assert rebuilt(accumulator)["usage"] == opened | {"output_tokens": 7}


def test_stop_sequence() -> None:
    accumulator = claude(streams.message_start(), streams.message_delta("stop_sequence", None, "###"))
    assert rebuilt(accumulator)["stop_sequence"] == "###"


def test_entry_argument() -> None:
    entry = claude(*streams.anthropic()).get_tool_entry(index_or_id="toolu_1")
    assert entry is not None
    assert entry["name"] == "weather"


# -- OpenAIAccumulator ------------------------------------------------------------------------------------------------


def test_choices_tools() -> None:
    accumulator = openai(
        chunk(streams.call(0, '{"x":0}', call_id="c0", name="f")),
        chunk(streams.call(0, '{"x":1}', call_id="c1", name="g"), choice=1),
        chunk({}, "tool_calls"),
        chunk({}, "tool_calls", choice=1),
    )
    zero, one = rebuilt(accumulator)["choices"]
    assert [call["function"] for call in zero["message"]["tool_calls"]] == [{"name": "f", "arguments": '{"x":0}'}]
    assert [call["function"] for call in one["message"]["tool_calls"]] == [{"name": "g", "arguments": '{"x":1}'}]


def test_call_identity() -> None:
    accumulator = openai(
        chunk(streams.call(0, '{"a":1}', call_id="c1", name="f")),
        chunk(streams.call(0, '{"b":2}', call_id="c2", name="g")),
        chunk({}, "tool_calls"),
    )
    found = [(call["id"], call["function"]["arguments"]) for call in accumulator.get_complete_tool_calls()]
    assert found == [("c1", '{"a":1}'), ("c2", '{"b":2}')]


def test_call_index() -> None:
    accumulator = openai(
        chunk(streams.call(None, '{"a":1}', call_id="c1", name="f")),
        chunk(streams.call(None, '{"b":2}', call_id="c2", name="g")),
        chunk({}, "tool_calls"),
    )
    found = [(call["id"], call["function"]["arguments"]) for call in accumulator.get_complete_tool_calls()]
    assert found == [("c1", '{"a":1}'), ("c2", '{"b":2}')]


def test_call_type() -> None:
    untyped = {"tool_calls": [{"index": 0, "id": "c", "function": {"name": "f", "arguments": "{}"}}]}
    (found,) = openai(chunk(untyped), chunk({}, "tool_calls")).get_complete_tool_calls()
    assert found["type"] == "function"


def test_null_fields() -> None:
    for index, text in ((None, "{}"), (0, None)):
        fragment = {"index": index, "id": "c", "type": "function", "function": {"name": "f", "arguments": text}}
        accumulator = openai(chunk({"tool_calls": [fragment]}), chunk(choices=None), chunk({}, "tool_calls"))
        assert [call["id"] for call in accumulator.get_complete_tool_calls()] == ["c"]


def test_finish_erased() -> None:
    accumulator = openai(chunk({"content": "x"}, "stop"), chunk({}))
    assert rebuilt(accumulator)["choices"][0]["finish_reason"] == "stop"


def test_refusal() -> None:
    accumulator = openai(chunk({"refusal": "I "}), chunk({"refusal": "can't."}, "stop"))
    assert rebuilt(accumulator)["choices"][0]["message"]["refusal"] == "I can't."


def test_reasoning() -> None:
    accumulator = openai(chunk({"reasoning_content": "let "}), chunk({"reasoning_content": "me"}, "stop"))
    assert rebuilt(accumulator)["choices"][0]["message"]["reasoning_content"] == "let me"


def test_function_call() -> None:
    accumulator = openai(chunk({"function_call": {"name": "f", "arguments": "{}"}}), chunk({}, "function_call"))
    assert [call["function"]["name"] for call in accumulator.get_complete_tool_calls()] == ["f"]


def test_chat_envelope() -> None:
    found = rebuilt(openai(*streams.chat()))
    assert (found["id"], found["object"], found["model"]) == ("chatcmpl-9", "chat.completion", "gpt-test")
    assert found["created"] == 1_700_000_000


def test_chat_usage() -> None:
    assert rebuilt(openai(*streams.chat()))["usage"] == streams.CHAT_USAGE


# -- ResponsesAccumulator ---------------------------------------------------------------------------------------------


def test_terminal_events() -> None:
    for kind in ("incomplete", "failed"):
        accumulator = responses(*streams.opening(), streams.terminal(kind))
        assert accumulator.get_completed_response() == streams.terminal(kind)["response"]
        assert rebuilt(accumulator)["status"] == kind


def test_terminal_calls() -> None:
    found = responses(streams.terminal()).get_complete_tool_calls()
    assert [call["call_id"] for call in found] == ["call_1", "call_2"]


def test_sparse_payload() -> None:
    sparse = {"id": "resp_1", "object": "response", "model": "m", "output": [MESSAGE]}
    assert responses(streams.event("completed", response=sparse)).get_completed_response() == sparse


def test_payload_verbatim() -> None:
    end = streams.terminal(output=[])
    assert responses(end).get_completed_response() == end["response"]


def test_lossy_output() -> None:
    refused = MESSAGE | {"id": "msg_2", "content": [{"type": "refusal", "refusal": "no"}]}
    search = {
        "id": "ws_1",
        "type": "web_search_call",
        "status": "completed",
        "action": {"type": "search", "query": "q"},
    }
    events = [
        *streams.opening(),
        *streams.reasoning_item(0),
        *streams.message_item(1),
        *streams.message_item(2, refused),
        streams.event("output_item.added", output_index=3, item=search),
        streams.event("output_item.done", output_index=3, item=search),
    ]
    assert rebuilt(responses(*events))["output"] == [REASONING, MESSAGE, refused, search]


def test_text_joined() -> None:
    part = {"type": "output_text", "text": " world", "annotations": [], "logprobs": []}
    second = MESSAGE | {"id": "msg_2", "content": [part]}
    events = [*streams.opening(), *streams.message_item(0), *streams.message_item(1, second)]
    assert rebuilt(responses(*events))["text"] == "Hello world"
    assert rebuilt(responses(streams.terminal(output=[MESSAGE, second])))["text"] == "Hello world"


def test_item_ids() -> None:
    events = streams.call_item(0)[:-1]
    for number, item in enumerate(events[1:]):
        item["item_id"] = f"id_{number}"
    found = rebuilt(responses(*streams.opening(), *events))["output"]
    assert [item["arguments"] for item in found] == [CALL["arguments"]]


def test_invented_envelope() -> None:
    assert rebuilt(responses(*streams.message_item(0))).get("status") != "completed"
