"""Section G: the events of Responses, and accumulation."""

import json
import re

import pytest

from ccproxy import collect

from .outputs import Said, deltas, split
from .streams import (
    DIALECTS,
    Json,
    call,
    call_item,
    chat,
    chunk,
    custom_item,
    each_source,
    each_target,
    frames_of,
    item_event,
    losses,
    message,
    message_item,
    one_call,
    reasoning_item,
    response,
    run,
    said,
    steps,
    text_block,
    thinking_block,
    thought,
    tool_block,
    usage_chunk,
)

STOP = chunk(finish="stop")
TOOL_CALLS = chunk(finish="tool_calls")
CALL: Said = ("tool", "call_1", "f", '{"x":1}')
CALL_CHUNK = chunk(call(0, *CALL[1:]))

# -- 74: what strict clients require ----------------------------------------------------------------------------------

ANSWER: dict[str, bytes] = {
    "anthropic": message(*thinking_block(0, "Hm."), *text_block(1, "Hi"), *tool_block(2, *CALL[1:]), stop="tool_use"),
    "openai-chat": chat(chunk(thought("Hm.")), chunk(said("Hi")), CALL_CHUNK, TOOL_CALLS, usage_chunk()),
    "openai-responses": response(*reasoning_item(0, ["Hm."]), *message_item(1, "Hi"), *call_item(2, *CALL[1:])),
}


@each_source
def test_trap_74_every_event_of_a_response(source: str) -> None:
    """`run` checks each field; here is the whole sequence."""
    out = run(source, "openai-responses", ANSWER[source])
    assert [frame.event.removeprefix("response.") for frame in out.frames] == [
        "created",
        "in_progress",
        "output_item.added",
        "reasoning_summary_part.added",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.done",
        "reasoning_summary_part.done",
        "output_item.done",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
        "completed",
    ]
    assert [frame.data["sequence_number"] for frame in out.frames] == list(range(19))


@each_source
def test_trap_74_the_fields_of_items_and_parts(source: str) -> None:
    out = run(source, "openai-responses", ANSWER[source])
    _, added, called = (event["item"] for event in out.events("response.output_item.added"))
    assert (added["type"], added["role"], added["status"], added["content"]) == (
        "message",
        "assistant",
        "in_progress",
        [],
    )
    assert (called["type"], called["status"], called["arguments"]) == ("function_call", "in_progress", "")
    text = {"type": "output_text", "text": "Hi", "annotations": [], "logprobs": []}
    assert out.events("response.content_part.added")[0]["part"] == text | {"text": ""}
    assert out.events("response.content_part.done")[0]["part"] == text
    assert out.events("response.output_text.delta")[0]["logprobs"] == []
    assert out.events("response.output_text.done")[0]["logprobs"] == []
    output = out.events("response.completed")[0]["response"]["output"]
    assert [item.get("status") for item in output[1:]] == ["completed", "completed"]
    assert output[1]["content"] == [text]


@each_source
def test_trap_74_usage_has_its_details(source: str) -> None:
    usage = run(source, "openai-responses", ANSWER[source]).events("response.completed")[0]["response"]["usage"]
    assert (usage["input_tokens"], usage["output_tokens"], usage["total_tokens"]) == (21, 9, 30)
    assert usage["input_tokens_details"]["cached_tokens"] == 0
    assert usage["output_tokens_details"]["reasoning_tokens"] == 0


@each_source
def test_trap_74_error_frames_are_numbered_too(source: str) -> None:
    """In a stream that is written anew, and after one that passed untouched."""
    cut = b"".join(frames_of(ANSWER[source])[:-4])
    frames = run(source, "openai-responses", cut).frames
    assert [frame.event for frame in frames[-2:]] == ["error", "response.failed"]
    assert [frame.data["sequence_number"] for frame in frames] == list(range(len(frames)))
    if source == "openai-responses":
        frames = split(b"".join(steps(source, source, [cut], normalize=False)))[0]
        assert [frame.event for frame in frames[-2:]] == ["error", "response.failed"]
        assert [frame.data["sequence_number"] for frame in frames] == list(range(len(frames)))


def test_trap_74_upstreams_without_numbers_get_them() -> None:
    """Or with the same number everywhere."""
    data = ANSWER["openai-responses"]
    for renumbered in (re.sub(rb',"sequence_number":\d+', b"", data), re.sub(rb'(number":)\d+', rb"\g<1>0", data)):
        assert renumbered != data
        assert (
            run("openai-responses", "openai-responses", renumbered).raw
            == run("openai-responses", "openai-responses", data).raw
        )


# -- 76: what the terminal event leaves out ---------------------------------------------------------------------------

ITEMS = [*reasoning_item(0, ["Hm."]), *message_item(1, "Hi"), *call_item(2, *CALL[1:])]
SAID: list[Said] = [("reasoning", "Hm."), ("text", "Hi"), CALL]


def without_output(data: bytes) -> bytes:
    *frames, last = frames_of(data)
    return b"".join(frames) + re.sub(rb'"output":\[.*?\],"parallel', b'"parallel', last)


LEFT_OUT: dict[str, bytes] = {
    "an empty output": response(*ITEMS, output=[]),
    "no output": without_output(response(*ITEMS, output=[])),
    "null": response(*ITEMS, output=[]).replace(b'"output":[],"parallel', b'"output":null,"parallel'),
}


@each_target
@pytest.mark.parametrize("case", LEFT_OUT)
def test_trap_76_the_output_is_filled_from_the_items(case: str, target: str) -> None:
    out = run("openai-responses", target, LEFT_OUT[case])
    assert out.said == SAID
    assert out.finish == {"anthropic": "tool_use", "openai-chat": "tool_calls", "openai-responses": "completed"}[target]


@pytest.mark.parametrize("case", LEFT_OUT)
def test_trap_76_the_body_is_filled_from_the_items(case: str) -> None:
    body = collect(LEFT_OUT[case], "openai-responses")
    assert [item["type"] for item in body["output"]] == ["reasoning", "message", "function_call"]
    assert body["output"][1]["content"][0]["text"] == "Hi"
    assert body["output"][2]["arguments"] == CALL[3]


@each_target
@pytest.mark.parametrize(
    "events",
    [
        pytest.param([event for event in ITEMS if event["type"] == "response.output_item.done"], id="items done alone"),
        pytest.param([event for event in ITEMS if event["type"].startswith("response.output_item")], id="items alone"),
    ],
)
@pytest.mark.parametrize("output", [None, []], ids=["with output", "without"])
def test_trap_76_items_whose_deltas_never_came(events: list[Json], output: list[Json] | None, target: str) -> None:
    assert run("openai-responses", target, response(*events, output=output)).said == SAID


@each_target
def test_trap_76_items_that_only_the_terminal_has(target: str) -> None:
    output = [event["item"] for event in ITEMS if event["type"] == "response.output_item.done"]
    assert run("openai-responses", target, response(output=output)).said == SAID


@each_target
def test_trap_76_an_item_that_only_the_terminal_has_before_one_that_streamed(target: str) -> None:
    """It comes too late for its place, but not in silence."""
    output = [event["item"] for event in ITEMS if event["type"] == "response.output_item.done"]
    out = run("openai-responses", target, response(*call_item(2, *CALL[1:]), output=output))
    assert CALL in out.said
    assert ("text", "Hi") in out.said or out.translator.losses or out.error


@each_target
def test_trap_76_text_that_only_the_done_event_has(target: str) -> None:
    """A delta got lost on the way: the rest of the text is in output_text.done and after."""
    added, part, first, _, *done = message_item(0, "Hel", "lo")
    assert run("openai-responses", target, response(added, part, first, *done)).joined("text") == "Hello"


@each_target
@pytest.mark.parametrize("missing", ["absent", "null", "empty"])
def test_trap_76_missing_item_ids_are_filled_in(missing: str, target: str) -> None:
    """That every event of an item has the same id, `run` sees to."""
    data = response(*ITEMS)
    for id in (b"rs_0", b"msg_1", b"fc_call_1"):
        for key in (b"id", b"item_id"):
            field = b'"%b":"%b"' % (key, id)
            value = {"absent": b"", "null": b'"%b":null' % key, "empty": b'"%b":""' % key}[missing]
            data = data.replace(field + b",", value + b"," if value else b"").replace(
                b"," + field, b"," + value if value else b""
            )
    assert b"msg_1" not in data and b"fc_" not in data
    out = run("openai-responses", target, data)
    assert out.said == SAID
    ids = [event["item"]["id"] for event in out.events("response.output_item.added")]
    assert len(set(ids)) == len(ids)


@each_target
def test_trap_76_ids_that_change_with_every_event(target: str) -> None:
    """GitHub Copilot: only the call_id is stable. The first id counts, of the response too (`run` sees to that)."""
    count = iter(range(1000))
    data = response(*ITEMS)
    rotated = re.sub(rb'"(resp|rs|msg|fc)_\w+"', lambda match: b'"%b_%d"' % (match[1], next(count)), data)
    assert next(count) > 20
    out = run("openai-responses", target, rotated)
    assert out.said == SAID


# -- 77: incomplete ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("finish", "reason"), [("length", "max_output_tokens"), ("content_filter", "content_filter")])
@pytest.mark.parametrize(
    "before",
    [[chunk(said("Hi"))], [CALL_CHUNK], [chunk(thought("Hm.")), chunk(said("Hi"))]],
    ids=["text", "call", "both"],
)
def test_trap_77_what_was_cut_is_incomplete(before: list[Json], finish: str, reason: str) -> None:
    out = run("openai-chat", "openai-responses", chat(*before, chunk(finish=finish)))
    (last,) = out.events("response.incomplete")
    assert last["response"]["status"] == "incomplete"
    assert last["response"]["incomplete_details"] == {"reason": reason}
    assert last["response"]["output"][-1]["status"] == "incomplete"
    assert not out.events("response.completed")
    body = collect(chat(*before, chunk(finish=finish)), "openai-chat", "openai-responses")
    assert (body["status"], body["incomplete_details"]) == ("incomplete", {"reason": reason})
    assert body["output"][-1]["status"] == "incomplete"


@pytest.mark.parametrize(("stop", "reason"), [("max_tokens", "max_output_tokens"), ("refusal", "content_filter")])
def test_trap_77_what_was_cut_is_incomplete_from_anthropic(stop: str, reason: str) -> None:
    out = run("anthropic", "openai-responses", message(*text_block(0, "a"), *text_block(1, "b"), stop=stop))
    (last,) = out.events("response.incomplete")
    assert last["response"]["incomplete_details"] == {"reason": reason}
    assert last["response"]["output"][-1]["status"] == "incomplete"


def test_trap_77_a_search_is_announced_before_the_message() -> None:
    search = {"id": "ws_0", "type": "web_search_call", "status": "in_progress"}
    done = search | {"status": "completed", "action": {"type": "search", "query": "q"}}
    progress: list[Json] = [
        {"type": f"response.web_search_call.{state}", "output_index": 0, "item_id": "ws_0"}
        for state in ("in_progress", "searching", "completed")
    ]
    data = response(item_event("added", 0, search), *progress, item_event("done", 0, done), *message_item(1, "Hi"))
    frames = frames_of(data)
    out = steps("openai-responses", "openai-responses", frames)
    assert b"web_search_call" in out[2] and b"output_item.added" in out[2]
    whole = run("openai-responses", "openai-responses", data)
    assert whole.said == [("other", "web_search_call"), ("text", "Hi")]
    assert [frame.event for frame in whole.frames if "web_search" in frame.event] == [
        event["type"] for event in progress
    ]


# -- 78, 79: ids, lines, custom tools ---------------------------------------------------------------------------------


def over_lines(data: bytes) -> bytes:
    """The same events, each payload over several data lines."""
    return re.sub(
        rb"(?m)^(data: \{.*)$", lambda m: m[1].replace(b',"', b',\ndata: "').replace(b"{", b"{\ndata: ", 1), data
    )


@each_target
@each_source
def test_trap_78_events_over_several_data_lines(source: str, target: str) -> None:
    """Read as one event each, written on one line each (which `run` sees to)."""
    data = ANSWER[source]
    assert over_lines(data).count(b"\ndata: ") > 3 * data.count(b"\ndata: ")
    assert run(source, target, over_lines(data)).raw == run(source, target, data).raw


@each_source
def test_trap_78_item_id_and_call_id_are_not_mixed_up(source: str) -> None:
    out = run(source, "openai-responses", one_call(source, '{"x"', ":1}", id="call_abc"))
    (added,) = out.events("response.output_item.added")
    assert re.fullmatch("fc_.+", added["item"]["id"])
    assert added["item"]["call_id"] == "call_abc"
    for name in ("delta", "done"):
        for event in out.events(f"response.function_call_arguments.{name}"):
            assert event["item_id"] == added["item"]["id"]


@pytest.mark.parametrize("target", ["anthropic", "openai-chat"])
def test_trap_78_the_client_gets_the_call_id(target: str) -> None:
    out = run("openai-responses", target, one_call("openai-responses", "{}", id="call_abc"))
    assert out.tools[0][1] == "call_abc"


PATCH = '*** Begin Patch\n*** Update File: a "b".py\n+\tprint("é\\n")\n*** End Patch'
PIECES = [PATCH[:11], PATCH[11:30], PATCH[30:]]


@each_target
def test_trap_79_custom_tools_of_responses(target: str) -> None:
    """Where there is no such tool it is a function with one argument, and a loss."""
    out = run("openai-responses", target, response(*custom_item(0, "call_1", "apply_patch", *PIECES)))
    if target == "openai-responses":
        assert out.said == [("custom", "call_1", "apply_patch", PATCH)]
        assert deltas(out.raw) == PIECES
        assert "custom_tool" not in losses(out)
    else:
        ((kind, *call, arguments),) = out.said
        assert (kind, call) == ("tool", ["call_1", "apply_patch"])
        assert json.loads(arguments) == {"input": PATCH}
        assert "custom_tool" in losses(out)
    assert out.finish == {"anthropic": "tool_use", "openai-chat": "tool_calls", "openai-responses": "completed"}[target]


@each_target
def test_trap_79_custom_tools_stream(target: str) -> None:
    """Each piece of the input leaves with the event that brought it."""
    frames = frames_of(response(*custom_item(0, "call_1", "apply_patch", *PIECES)))
    out = steps("openai-responses", target, frames)
    assert [len(deltas(step)) for step in out[3:6]] == [1, 1, 1]


def custom_call(piece: str, **more: str) -> Json:
    return {"tool_calls": [{"index": 0, "type": "custom", "custom": {"input": piece, **more}}]}


def test_trap_79_custom_tools_of_chat() -> None:
    first = {"tool_calls": [custom_call(PIECES[0], name="apply_patch")["tool_calls"][0] | {"id": "call_1"}]}
    data = chat(chunk(first), *(chunk(custom_call(piece)) for piece in PIECES[1:]), TOOL_CALLS)
    out = run("openai-chat", "openai-responses", data)
    assert out.said == [("custom", "call_1", "apply_patch", PATCH)]


@pytest.mark.parametrize("target", DIALECTS)
def test_trap_79_custom_tools_in_the_body(target: str) -> None:
    body = collect(response(*custom_item(0, "call_1", "apply_patch", *PIECES)), "openai-responses", target)
    if target == "anthropic":
        assert body["content"] == [
            {"type": "tool_use", "id": "call_1", "name": "apply_patch", "input": {"input": PATCH}}
        ]
    elif target == "openai-chat":
        (tool,) = body["choices"][0]["message"]["tool_calls"]
        assert json.loads(tool["function"]["arguments"]) == {"input": PATCH}
    else:
        assert [(item["type"], item["input"]) for item in body["output"]] == [("custom_tool_call", PATCH)]


def test_trap_79_an_input_that_only_the_item_has() -> None:
    item = custom_item(0, "call_1", "apply_patch", *PIECES)
    out = run("openai-responses", "openai-responses", response(item[0], item[-1]))
    assert out.said == [("custom", "call_1", "apply_patch", PATCH)]


# -- 81: rebuilt messages ---------------------------------------------------------------------------------------------


@each_source
def test_trap_81_reasoning_is_once_in_the_body(source: str) -> None:
    data = ANSWER[source]
    (thinking,) = [b for b in collect(data, source, "anthropic")["content"] if b["type"] == "thinking"]
    assert thinking["thinking"] == "Hm."
    assert collect(data, source, "openai-chat")["choices"][0]["message"]["reasoning_content"] == "Hm."
    (reasoning,) = [i for i in collect(data, source, "openai-responses")["output"] if i["type"] == "reasoning"]
    assert reasoning["summary"] == [{"type": "summary_text", "text": "Hm."}]


def test_trap_81_reasoning_in_two_fields_is_once_in_the_body() -> None:
    data = chat(chunk({"reasoning_content": "Hm.", "reasoning": "Hm."}), chunk(said("Hi")), STOP)
    assert collect(data, "openai-chat")["choices"][0]["message"]["reasoning_content"] == "Hm."


@each_source
def test_trap_81_every_parallel_call_has_its_id_and_name(source: str) -> None:
    calls: list[Said] = [("tool", f"call_{n}", f"f{n}", f'{{"n":{n}}}') for n in range(3)]
    streams = {
        "anthropic": message(*(e for n, c in enumerate(calls) for e in tool_block(n, *c[1:])), stop="tool_use"),
        "openai-chat": chat(*(chunk(call(n, *c[1:])) for n, c in enumerate(calls)), TOOL_CALLS),
        "openai-responses": response(*(e for n, c in enumerate(calls) for e in call_item(n, *c[1:]))),
    }
    for target in DIALECTS:
        assert run(source, target, streams[source]).said == calls
    tools = collect(streams[source], source, "openai-chat")["choices"][0]["message"]["tool_calls"]
    assert [("tool", t["id"], t["function"]["name"], t["function"]["arguments"]) for t in tools] == calls


@pytest.mark.parametrize("source", ["anthropic", "openai-responses"])
def test_trap_81_the_block_index_is_no_choice_index(source: str) -> None:
    frames = [frame.data for frame in run(source, "openai-chat", ANSWER[source]).frames if frame.data != "[DONE]"]
    assert {choice["index"] for data in frames for choice in data["choices"]} == {0}
    assert [choice["finish_reason"] for data in frames for choice in data["choices"] if choice["finish_reason"]] == [
        "tool_calls"
    ]
    assert len(collect(ANSWER[source], source, "openai-chat")["choices"]) == 1
