"""The judges judge: each takes a good stream, refuses broken ones, and tells an error in the stream from a fault."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from . import ORACLES, JsonObject, Part, fold, parsed, validate_events

ANTHROPIC, GEMINI, CHAT, RESPONSES = "anthropic", "gemini", "openai-chat", "openai-responses"
OBJECT = "chat.completion.chunk"
DONE = b"data: [DONE]\n\n"


def named(*events: JsonObject) -> bytes:
    """Events under their type's name."""
    return b"".join(b"event: %s\ndata: %s\n\n" % (e["type"].encode(), json.dumps(e).encode()) for e in events)


def nameless(*events: JsonObject) -> bytes:
    return b"".join(b"data: %s\n\n" % json.dumps(e).encode() for e in events)


# --- Anthropic ---

MESSAGE: JsonObject = {
    "id": "msg_01",
    "type": "message",
    "role": "assistant",
    "model": "claude",
    "content": [],
    "stop_reason": None,
    "stop_sequence": None,
    "usage": {"input_tokens": 3, "output_tokens": 1},
}
START: JsonObject = {"type": "message_start", "message": MESSAGE}
STOP: JsonObject = {"type": "message_stop"}


def block(index: int, content_block: JsonObject, *deltas: JsonObject) -> list[JsonObject]:
    return [
        {"type": "content_block_start", "index": index, "content_block": content_block},
        *({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": index},
    ]


def text_block(index: int, text: str) -> list[JsonObject]:
    return block(index, {"type": "text", "text": ""}, {"type": "text_delta", "text": text})


def tool_block(index: int, call_id: str, *pieces: str) -> list[JsonObject]:
    deltas: list[JsonObject] = [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]
    return block(index, {"type": "tool_use", "id": call_id, "name": "f", "input": {}}, *deltas)


def message_delta(stop_reason: str, stop_sequence: str | None = None) -> JsonObject:
    delta = {"stop_reason": stop_reason, "stop_sequence": stop_sequence}
    return {"type": "message_delta", "delta": delta, "usage": {"output_tokens": 9}}


ANTHROPIC_EVENTS: list[JsonObject] = [
    START,
    {"type": "ping"},
    *block(
        0,
        {"type": "thinking", "thinking": "", "signature": ""},
        {"type": "thinking_delta", "thinking": "hm"},
        {"type": "signature_delta", "signature": "sig"},
    ),
    *text_block(1, "he"),
    *text_block(2, "llo"),
    *tool_block(3, "toolu_1", '{"a"', ":1}"),
    *tool_block(4, "toolu_2", ""),
    message_delta("tool_use"),
    STOP,
]
ANTHROPIC_ERROR: JsonObject = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}


# --- Chat ---


def chunk(delta: JsonObject | None = None, finish: str | None = None, **fields: Any) -> JsonObject:
    choices = [{"index": 0, "delta": delta or {}, "finish_reason": finish}]
    return {"id": "c1", "object": OBJECT, "created": 1, "model": "gpt", "choices": choices, **fields}


def call(index: int | None, arguments: str, **fields: Any) -> JsonObject:
    function = {"name": fields.pop("name")} if "name" in fields else {}
    return {"tool_calls": [{"index": index, **fields, "function": {**function, "arguments": arguments}}]}


USAGE: JsonObject = {"prompt_tokens": 3, "completion_tokens": 9, "total_tokens": 12}
ROLE = chunk({"role": "assistant", "content": ""})
CHAT_EVENTS: list[JsonObject] = [
    ROLE,
    chunk({"reasoning_content": "hm"}),
    chunk({"content": "he"}),
    chunk({"content": "llo"}),
    chunk(call(0, "", id="call_1", type="function", name="f")),
    chunk(call(0, '{"a"')),
    chunk(call(0, ":1}")),
    chunk(call(1, "", id="call_2", type="function", name="f")),
    chunk(finish="tool_calls"),
    {**chunk(), "choices": [], "usage": USAGE},
]
CHAT_ERROR: JsonObject = {"error": {"message": "Overloaded", "type": "server_error", "code": None, "param": None}}


# --- Responses ---


def response(status: str, **fields: Any) -> JsonObject:
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "status": status,
        "model": "gpt",
        "output": [],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "error": None,
        "incomplete_details": None,
        "usage": None,
        "metadata": {},
        "instructions": None,
        "temperature": 1.0,
        "top_p": 1.0,
        **fields,
    }


RESPONSES_USAGE: JsonObject = {
    "input_tokens": 3,
    "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
    "output_tokens": 9,
    "output_tokens_details": {"reasoning_tokens": 2},
    "total_tokens": 12,
}
REASONING: JsonObject = {"id": "rs_1", "type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]}
OUTPUT_TEXT: JsonObject = {"type": "output_text", "text": "hello", "annotations": []}
ANSWER: JsonObject = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "status": "completed",
    "content": [OUTPUT_TEXT],
}
CALL: JsonObject = {
    "id": "fc_1",
    "type": "function_call",
    "call_id": "call_1",
    "name": "f",
    "arguments": '{"a":1}',
    "status": "completed",
}
OUTPUT = [REASONING, ANSWER, CALL]


def numbered(*events: JsonObject) -> list[JsonObject]:
    return [{**event, "sequence_number": number} for number, event in enumerate(events)]


def item(index: int, start: JsonObject, end: JsonObject, *body: JsonObject) -> list[JsonObject]:
    return [
        {"type": "response.output_item.added", "output_index": index, "item": {**end, **start}},
        *({"output_index": index, "item_id": end["id"], **event} for event in body),
        {"type": "response.output_item.done", "output_index": index, "item": end},
    ]


CREATED: JsonObject = {"type": "response.created", "response": response("in_progress")}
COMPLETED: JsonObject = {
    "type": "response.completed",
    "response": response("completed", output=OUTPUT, usage=RESPONSES_USAGE),
}
ITEMS: list[JsonObject] = [
    *item(0, {"summary": []}, REASONING),
    *item(
        1,
        {"content": [], "status": "in_progress"},
        ANSWER,
        {"type": "response.content_part.added", "content_index": 0, "part": {**OUTPUT_TEXT, "text": ""}},
        {"type": "response.output_text.delta", "content_index": 0, "delta": "he", "logprobs": []},
        {"type": "response.output_text.delta", "content_index": 0, "delta": "llo", "logprobs": []},
        {"type": "response.output_text.done", "content_index": 0, "text": "hello", "logprobs": []},
        {"type": "response.content_part.done", "content_index": 0, "part": OUTPUT_TEXT},
    ),
    *item(
        2,
        {"arguments": "", "status": "in_progress"},
        CALL,
        {"type": "response.function_call_arguments.delta", "delta": '{"a":1}'},
        {"type": "response.function_call_arguments.done", "arguments": '{"a":1}'},
    ),
]
RESPONSES_EVENTS = numbered(CREATED, *ITEMS, COMPLETED)
RESPONSES_ERROR: JsonObject = {
    "type": "error",
    "sequence_number": 1,
    "error": {"type": "server_error", "code": None, "message": "Overloaded", "param": None},
}


# --- Gemini ---


def candidate(*parts: JsonObject, finish: str | None = None, index: int = 0, **top: Any) -> JsonObject:
    choice: JsonObject = {"content": {"parts": list(parts), "role": "model"}, "index": index}
    end = {"finishReason": finish} if finish else {}
    return {"candidates": [choice | end], "modelVersion": "gemini", "responseId": "r1", **top}


GEMINI_USAGE: JsonObject = {"promptTokenCount": 3, "candidatesTokenCount": 9, "totalTokenCount": 12}
GEMINI_EVENTS: list[JsonObject] = [
    candidate({"text": "hm", "thought": True}),
    candidate({"text": "he"}),
    candidate({"text": "llo"}),
    candidate(
        {"functionCall": {"id": "call_1", "name": "f", "args": {"a": 1}}, "thoughtSignature": "c2ln"},
        {"functionCall": {"id": "call_2", "name": "f"}},
    ),
    candidate({"text": ""}, finish="STOP", usageMetadata=GEMINI_USAGE),
]
GEMINI_ERROR: JsonObject = {"error": {"code": 503, "message": "Overloaded", "status": "UNAVAILABLE"}}

GOOD = {
    ANTHROPIC: named(*ANTHROPIC_EVENTS),
    GEMINI: nameless(*GEMINI_EVENTS),
    CHAT: nameless(*CHAT_EVENTS) + DONE,
    RESPONSES: named(*RESPONSES_EVENTS),
}
BEGUN = {
    ANTHROPIC: named(START),
    GEMINI: nameless(GEMINI_EVENTS[0]),
    CHAT: nameless(ROLE),
    RESPONSES: named(RESPONSES_EVENTS[0]),
}
FAILED = {
    ANTHROPIC: named(START, *text_block(0, "he"), ANTHROPIC_ERROR),
    GEMINI: nameless(candidate({"text": "he"}), GEMINI_ERROR),
    CHAT: nameless(ROLE, chunk({"content": "he"}), CHAT_ERROR),
    RESPONSES: named(*RESPONSES_EVENTS[:6], RESPONSES_ERROR),
}


def test_one_oracle_for_each_module_of_the_folder() -> None:
    files = {path.stem.removesuffix("_sdk").replace("_", "-") for path in Path(__file__).parent.glob("*_sdk.py")}
    assert set(ORACLES) == files >= set(GOOD)


@pytest.mark.parametrize("dialect", GOOD)
def test_a_good_stream_is_taken_whole(dialect: str) -> None:
    verdict = ORACLES[dialect].accept(GOOD[dialect])
    assert (verdict.ok, verdict.error, verdict.api_error, verdict.faults, verdict.complete) == (
        True,
        None,
        None,
        (),
        True,
    )
    assert verdict.events == len([e for e in frames_of(GOOD[dialect]) if e not in ("[DONE]", '{"type": "ping"}')])
    assert validate_events(dialect, GOOD[dialect]) == []


def frames_of(data: bytes) -> list[str]:
    return [line.removeprefix("data: ") for line in data.decode().splitlines() if line.startswith("data: ")]


@pytest.mark.parametrize(
    ("dialect", "ids", "finish"),
    [
        (ANTHROPIC, ("toolu_1", "toolu_2"), "tool_use"),
        (GEMINI, ("call_1", "call_2"), "STOP"),
        (CHAT, ("call_1", "call_2"), "tool_calls"),
        (RESPONSES, ("call_1",), "completed"),
    ],
)
def test_normal_form(dialect: str, ids: tuple[str, ...], finish: str) -> None:
    normal = ORACLES[dialect].normal(ORACLES[dialect].accept(GOOD[dialect]).final or {})
    arguments = ['{"a":1}', "{}"]
    assert parsed(normal["parts"]) == parsed(
        [
            Part(0, "reasoning", None, None, "hm"),
            Part(0, "text", None, None, "hello"),
            *(Part(0, "tool", call_id, "f", text) for call_id, text in zip(ids, arguments, strict=False)),
        ]
    )
    assert (normal["finish"], normal["stop_sequence"]) == ({0: finish}, None)
    assert 9 in normal["usage"].values()


def test_fold() -> None:
    parts = [
        Part(0, "text", None, None, "a"),
        Part(0, "text", None, None, ""),
        Part(0, "text", None, None, "b"),
        Part(1, "text", None, None, "c"),
        Part(1, "tool", "x", "f", ""),
        Part(1, "tool", "y", "f", '{"a'),
    ]
    folded = fold(parts)
    assert [part.text for part in folded] == ["ab", "c", "{}", '{"a']
    assert [part.text for part in parsed(folded)] == ["ab", "c", {}, {}]


def test_anthropic_stop_sequence() -> None:
    data = named(START, *text_block(0, "he"), message_delta("stop_sequence", "END"), STOP)
    normal = ORACLES[ANTHROPIC].normal(ORACLES[ANTHROPIC].accept(data).final or {})
    assert (normal["finish"], normal["stop_sequence"]) == ({0: "stop_sequence"}, "END")


def test_responses_snapshot_is_joined_from_the_deltas() -> None:
    oracle = ORACLES[RESPONSES]
    verdict = oracle.accept(GOOD[RESPONSES])
    assert verdict.snapshot is not None
    assert oracle.normal(verdict.snapshot)["parts"] == oracle.normal(verdict.final or {})["parts"]


BROKEN = [
    pytest.param(ANTHROPIC, named(START, *text_block(1, "he"), message_delta("end_turn"), STOP), id="index-gap"),
    pytest.param(
        ANTHROPIC,
        named(START, *text_block(0, "a"), *text_block(0, "b"), message_delta("end_turn"), STOP),
        id="index-again",
    ),
    pytest.param(ANTHROPIC, nameless(*ANTHROPIC_EVENTS), id="no-event-names"),
    pytest.param(ANTHROPIC, nameless(START) + named(*ANTHROPIC_EVENTS[1:]), id="no-name-on-start"),
    pytest.param(ANTHROPIC, named(START) + nameless(ANTHROPIC_ERROR), id="error-without-name"),
    pytest.param(ANTHROPIC, GOOD[ANTHROPIC] + b"event: done\ndata: [DONE]\n\n", id="done-mark"),
    pytest.param(ANTHROPIC, named(*ANTHROPIC_EVENTS[1:]), id="no-start"),
    pytest.param(ANTHROPIC, named(START, START, *ANTHROPIC_EVENTS[1:]), id="two-starts"),
    pytest.param(ANTHROPIC, named(START, {**message_delta("end_turn"), "usage": None}, STOP), id="usage-null"),
    pytest.param(GEMINI, GOOD[GEMINI] + DONE, id="done-sentinel"),
    pytest.param(GEMINI, b": ping\n\n" + GOOD[GEMINI], id="comment"),
    pytest.param(GEMINI, b"event: message\n" + GOOD[GEMINI], id="event-name"),
    pytest.param(GEMINI, GOOD[GEMINI].replace(b"data: ", b"data:"), id="no-space"),
    pytest.param(GEMINI, GOOD[GEMINI].replace(b"c2ln", b"no base64"), id="signature-not-base64"),
    pytest.param(GEMINI, GOOD[GEMINI].replace(b'{"a": 1}', b'"{}"'), id="arguments-as-text"),
    pytest.param(
        GEMINI,
        nameless(candidate({"functionCall": {"name": "f", "willContinue": True}}), candidate(finish="STOP")),
        id="arguments-in-pieces",
    ),
    pytest.param(CHAT, nameless(*(e | {"object": ""} for e in CHAT_EVENTS)) + DONE, id="no-object"),
    pytest.param(CHAT, nameless(ROLE, chunk({"content": "a"}, object="")) + DONE, id="no-object-once"),
    pytest.param(CHAT, nameless(ROLE, {**chunk(), "choices": None}) + DONE, id="choices-null"),
    pytest.param(CHAT, nameless(ROLE, {k: v for k, v in chunk().items() if k != "choices"}), id="no-choices"),
    pytest.param(CHAT, nameless(ROLE, chunk({"role": "assistant", "content": "a"})) + DONE, id="role-twice"),
    pytest.param(CHAT, nameless(ROLE, chunk(call(1, "{}", id="i", type="function", name="f"))) + DONE, id="call-gap"),
    pytest.param(CHAT, nameless(ROLE, chunk(call(0, "{}", id="i", name="f"))) + DONE, id="call-without-type"),
    pytest.param(CHAT, nameless(ROLE, chunk(call(None, "{}", id="i", type="function", name="f"))), id="no-call-index"),
    pytest.param(RESPONSES, named(*RESPONSES_EVENTS[1:]), id="no-created"),
    pytest.param(RESPONSES, named(*(e for e in RESPONSES_EVENTS if "item.added" not in e["type"])), id="no-item-added"),
    pytest.param(RESPONSES, named(*(e for e in RESPONSES_EVENTS if "part.added" not in e["type"])), id="no-part-added"),
    pytest.param(RESPONSES, named(*RESPONSES_EVENTS[:-1]), id="no-terminal"),
    pytest.param(
        RESPONSES,
        named(*RESPONSES_EVENTS[:-1], {**COMPLETED, "response": {**COMPLETED["response"], "id": "resp_2"}}),
        id="id-changes",
    ),
    pytest.param(
        RESPONSES,
        named(*RESPONSES_EVENTS[:-1], {**COMPLETED, "response": response("completed")}),
        id="output-empty",
    ),
    pytest.param(
        RESPONSES,
        named(
            RESPONSES_EVENTS[0], {"type": "error", "code": None, "message": "no", "param": None, "sequence_number": 1}
        ),
        id="flat-error",
    ),
    *(
        pytest.param(dialect, data, id=f"{dialect}-{name}")
        for dialect in GOOD
        for name, data in {
            "empty": b"",
            "html": b"<html>\n\n",
            "json-body": b'{"error": {"message": "no"}}',
            "bad-json": BEGUN[dialect] + b"event: x\ndata: {\n\n",
        }.items()
    ),
]


@pytest.mark.parametrize(("dialect", "data"), BROKEN)
def test_a_broken_stream_is_refused(dialect: str, data: bytes) -> None:
    verdict = ORACLES[dialect].accept(data)
    assert not verdict.ok
    assert verdict.error
    assert verdict.api_error is None


def test_a_fault_that_raises_nothing_leaves_the_final_object() -> None:
    verdict = ORACLES[CHAT].accept(nameless(ROLE, chunk({"content": "a"}, object=""), chunk(finish="stop")) + DONE)
    assert verdict.faults == (verdict.error,) == ("ignored: 1 of 3 chunks",)
    assert ORACLES[CHAT].normal(verdict.final or {})["parts"] == []


@pytest.mark.parametrize("dialect", FAILED)
def test_an_error_in_the_stream_is_told_apart(dialect: str) -> None:
    verdict = ORACLES[dialect].accept(FAILED[dialect])
    assert verdict.ok
    assert not verdict.complete
    assert verdict.api_error is not None
    assert verdict.api_error["message"] == "Overloaded"
    assert validate_events(dialect, FAILED[dialect]) == []
    parts = ORACLES[dialect].normal(verdict.final or {})["parts"]
    assert [part.text for part in parts if part.kind == "text"] == ["he"]


@pytest.mark.parametrize("dialect", FAILED)
def test_an_error_at_once(dialect: str) -> None:
    data = {
        ANTHROPIC: named(ANTHROPIC_ERROR),
        GEMINI: nameless(GEMINI_ERROR),
        CHAT: nameless(CHAT_ERROR),
        RESPONSES: named(RESPONSES_ERROR),
    }[dialect]
    verdict = ORACLES[dialect].accept(data)
    assert (verdict.ok, verdict.final, verdict.events) == (True, None, 0)
    assert verdict.api_error is not None


@pytest.mark.parametrize("finish", ["length", "content_filter"])
def test_chat_finishes_that_the_helper_raises_for(finish: str) -> None:
    verdict = ORACLES[CHAT].accept(nameless(ROLE, chunk({"content": "he"}), chunk(finish=finish)) + DONE)
    assert (verdict.ok, verdict.complete) == (True, True)
    assert ORACLES[CHAT].normal(verdict.final or {})["finish"] == {0: finish}


@pytest.mark.parametrize(
    ("status", "fields", "finish"),
    [
        ("incomplete", {"incomplete_details": {"reason": "max_output_tokens"}}, "incomplete:max_output_tokens"),
        ("failed", {"error": {"code": "server_error", "message": "no"}}, "failed:server_error"),
    ],
)
def test_responses_ends_that_the_helper_raises_for(status: str, fields: JsonObject, finish: str) -> None:
    end = {"type": f"response.{status}", "response": response(status, output=OUTPUT, **fields)}
    verdict = ORACLES[RESPONSES].accept(named(*numbered(CREATED, *ITEMS, end)))
    assert (verdict.ok, verdict.complete) == (True, True)
    normal = ORACLES[RESPONSES].normal(verdict.final or {})
    assert normal["finish"] == {0: finish}
    assert [part.kind for part in normal["parts"]] == ["reasoning", "text", "tool"]


@pytest.mark.parametrize(
    ("dialect", "data"),
    [
        (ANTHROPIC, named(*ANTHROPIC_EVENTS[:-2])),
        (GEMINI, nameless(*GEMINI_EVENTS[:-1])),
        (CHAT, nameless(ROLE, chunk({"content": "he"}))),
    ],
)
def test_a_cut_stream_is_taken_but_not_complete(dialect: str, data: bytes) -> None:
    verdict = ORACLES[dialect].accept(data)
    assert (verdict.ok, verdict.complete) == (True, False)


def test_gemini_choices() -> None:
    events = [candidate({"text": f"{i}"}, finish="STOP", index=i) for i in (1, 0)]
    verdict = ORACLES[GEMINI].accept(nameless(*events))
    assert verdict.ok and verdict.complete
    normal = ORACLES[GEMINI].normal(verdict.final or {})
    assert normal["finish"] == {0: "STOP", 1: "STOP"}
    assert [(part.choice, part.text) for part in normal["parts"]] == [(0, "0"), (1, "1")]


def test_gemini_a_blocked_prompt_is_an_end() -> None:
    verdict = ORACLES[GEMINI].accept(nameless({"promptFeedback": {"blockReason": "SAFETY"}}))
    assert (verdict.ok, verdict.complete) == (True, True)
    assert ORACLES[GEMINI].normal(verdict.final or {})["finish"] == {0: "SAFETY"}


def test_chat_choices() -> None:
    events = [
        {
            **chunk(),
            "choices": [{"index": i, "delta": {"role": "assistant", "content": f"{i}"}, "finish_reason": "stop"}],
        }
        for i in (0, 1)
    ]
    verdict = ORACLES[CHAT].accept(nameless(*events) + DONE)
    assert verdict.ok
    normal = ORACLES[CHAT].normal(verdict.final or {})
    assert normal["finish"] == {0: "stop", 1: "stop"}
    assert [(part.choice, part.text) for part in normal["parts"]] == [(0, "0"), (1, "1")]


@pytest.mark.parametrize(
    ("dialect", "data", "problem"),
    [
        (ANTHROPIC, named({"type": "content_block_stop"}), "event 0: index: Field required"),
        (ANTHROPIC, named({"type": "made_up"}), "event 0: unknown event type 'made_up'"),
        (ANTHROPIC, nameless(STOP), "event 0: event name None for type 'message_stop'"),
        (ANTHROPIC, named(block(0, {"type": "text"})[0]), "event 0: content_block.BetaTextBlock.text: Field required"),
        (ANTHROPIC, b"event: x\ndata: [DONE]\n\n", "event 0: no JSON: "),
        (GEMINI, nameless(candidate(finish="STOP") | {"made_up": 1}), "event 0: made_up: Extra inputs"),
        (
            GEMINI,
            nameless(candidate({"text": 1})),
            "event 0: candidates.0.content.parts.0.text: Input should be a valid",
        ),
        (GEMINI, nameless({"error": {"code": 1, "message": ""}}), "event 0: error.status: Field required"),
        (CHAT, nameless(chunk(created="1")), "event 0: created: Input should be a valid integer"),
        (CHAT, nameless(chunk(finish="eos")), "event 0: choices.0.finish_reason: Input should be 'stop', "),
        (CHAT, DONE + nameless(ROLE), "event 1: after [DONE]"),
        (CHAT, nameless({"error": {"type": "x"}}), "event 0: error.message: Field required"),
        (RESPONSES, named(CREATED), "event 0: sequence_number: Field required"),
        (RESPONSES, nameless({"type": "response.made_up"}), "event 0: unknown event type 'response.made_up'"),
        (RESPONSES, b"data: 1\n\n", "event 0: no JSON object: int"),
    ],
)
def test_strict_types(dialect: str, data: bytes, problem: str) -> None:
    (found,) = validate_events(dialect, data)
    assert found.startswith(problem)
