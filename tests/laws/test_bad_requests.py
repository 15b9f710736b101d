"""The law of bad requests: whatever comes in, a request is translated or refused with the place of what is wrong.

Nothing else is ever raised, what is given is never changed, and what is repaired is a loss.
"""

from __future__ import annotations

import copy
import json
import tracemalloc
from base64 import b64encode
from collections.abc import Iterator, Mapping
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccproxy import dialects
from ccproxy.core.errors import RequestRefused
from ccproxy.failures import error_response
from ccproxy.requests import TranslatedRequest, translate_request
from ccproxy.wire.json import dumps, loads
from tests.exchanges import Exchange, bundled

DIALECTS: Final = [name for name in dialects.names() if dialects.get(name).read_request is not None]
PAIRS: Final = [(source, target) for source in DIALECTS for target in DIALECTS]
OPTIONS: Final[dict[str, Any]] = {"model": "some-model", "normalize": True}

each_pair = pytest.mark.parametrize(("source", "target"), PAIRS)
each_source = pytest.mark.parametrize("source", DIALECTS)


def attempt(body: Any, source: str, target: str) -> TranslatedRequest | RequestRefused:
    """The translation or the refusal, each with what is always true of it."""
    before = copy.deepcopy(body) if isinstance(body, Mapping) else body
    done = outcome(body, source, target)
    assert body == before
    if isinstance(done, RequestRefused):
        assert done.reason
        assert_own_error(done, source)
    else:
        assert loads(dumps(done.body)) == done.body
        assert all(loss.detail for loss in done.losses)
    return done


def outcome(body: Any, source: str, target: str) -> TranslatedRequest | RequestRefused:
    try:
        return translate_request(body, source, target, **OPTIONS)
    except RequestRefused as refused:
        return refused


def assert_own_error(refused: RequestRefused, dialect: str) -> None:
    """The client gets the error that its own provider would send, with the path where that has a place for it."""
    answer = error_response(refused, dialect)
    assert answer.status == 400
    assert answer.body == ERRORS[dialect](refused)


def openai_error(refused: RequestRefused) -> dict[str, Any]:
    fields = {"message": str(refused), "type": "invalid_request_error", "param": refused.path or None, "code": None}
    return {"error": fields}


ERRORS: Final[dict[str, Any]] = {
    "anthropic": lambda refused: {
        "type": "error",
        "error": {"type": "invalid_request_error", "message": str(refused)},
    },
    "gemini": lambda refused: {"error": {"code": 400, "message": str(refused), "status": "INVALID_ARGUMENT"}},
    "openai-chat": openai_error,
    "openai-responses": openai_error,
}


def refusal(body: Any, source: str, target: str) -> RequestRefused:
    done = attempt(body, source, target)
    assert isinstance(done, RequestRefused), done
    return done


def translation(body: Any, source: str, target: str) -> TranslatedRequest:
    done = attempt(body, source, target)
    assert isinstance(done, TranslatedRequest), str(done)
    return done


# Requests of every dialect

CALL: Final = ("call_1", "f", '{"a":1}')


def request(source: str, *turns: Any, **fields: Any) -> dict[str, Any]:
    """A request whose history is a text and these turns."""
    said = [spoken(source, "hi"), *turns]
    match source:
        case "anthropic":
            return {"model": "m", "max_tokens": 99, "messages": said, **fields}
        case "openai-chat":
            return {
                "model": "m",
                "messages": [m for one in said for m in (one if type(one) is list else [one])],
                **fields,
            }
        case "openai-responses":
            return {"model": "m", "input": [m for one in said for m in (one if type(one) is list else [one])], **fields}
        case _:
            return {"contents": said, **fields}


def spoken(source: str, text: str) -> dict[str, Any]:
    return {"role": "user", "parts": [{"text": text}]} if source == "gemini" else {"role": "user", "content": text}


def calls(source: str, *given: tuple[str, str, str]) -> Any:
    """A turn of calls: (id, name, arguments)."""
    match source:
        case "anthropic":
            blocks = [{"type": "tool_use", "id": i, "name": n, "input": json.loads(a)} for i, n, a in given]
            return {"role": "assistant", "content": blocks}
        case "openai-chat":
            return {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {"id": i, "type": "function", "function": {"name": n, "arguments": a}} for i, n, a in given
                ],
            }
        case "openai-responses":
            return [{"type": "function_call", "call_id": i, "name": n, "arguments": a} for i, n, a in given]
        case _:
            parts = [{"functionCall": {"id": i, "name": n, "args": json.loads(a)}} for i, n, a in given]
            return {"role": "model", "parts": parts}


def results(source: str, *given: tuple[str, str, str]) -> Any:
    """A turn of results: (id, name, text)."""
    match source:
        case "anthropic":
            blocks = [{"type": "tool_result", "tool_use_id": i, "content": text} for i, _, text in given]
            return {"role": "user", "content": blocks}
        case "openai-chat":
            return [{"role": "tool", "tool_call_id": i, "content": text} for i, _, text in given]
        case "openai-responses":
            return [{"type": "function_call_output", "call_id": i, "output": text} for i, _, text in given]
        case _:
            parts = [{"functionResponse": {"id": i, "name": n, "response": {"output": text}}} for i, n, text in given]
            return {"role": "user", "parts": parts}


def picture(source: str, data: str) -> dict[str, Any]:
    url = f"data:image/png;base64,{data}"
    match source:
        case "anthropic":
            block = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}}
        case "openai-chat":
            block = {"type": "image_url", "image_url": {"url": url}}
        case "openai-responses":
            block = {"type": "input_image", "image_url": url, "detail": "auto"}
        case _:
            return {"role": "user", "parts": [{"inlineData": {"mimeType": "image/png", "data": data}}]}
    return {"role": "user", "content": [block]}


def tool(source: str, schema: Any) -> dict[str, Any]:
    """A request with one tool."""
    match source:
        case "anthropic":
            return request(source, tools=[{"name": "f", "input_schema": schema}])
        case "openai-chat":
            return request(source, tools=[{"type": "function", "function": {"name": "f", "parameters": schema}}])
        case "openai-responses":
            return request(source, tools=[{"type": "function", "name": "f", "parameters": schema, "strict": False}])
        case _:
            return request(source, tools=[{"functionDeclarations": [{"name": "f", "parameters": schema}]}])


# No request at all


@each_pair
@pytest.mark.parametrize(
    "body",
    [b"", "", b"  ", b"{", b'{"model"', b"\xff\xfe", b"\x00", "\ud800", b"data: {}", b'{"a":1}x', b"NaN", b'{"a":NaN}'],
)
def test_not_json(body: bytes | str, source: str, target: str) -> None:
    refused = refusal(body, source, target)
    assert "not JSON" in refused.reason


@each_pair
@pytest.mark.parametrize("body", [b"null", b"1", b'"text"', b"true", b"[]", b'[{"model": "m"}]'])
def test_no_object(body: bytes, source: str, target: str) -> None:
    assert str(refusal(body, source, target)) == "the body must be a JSON object"


@each_pair
def test_nothing_in_it(source: str, target: str) -> None:
    assert refusal({}, source, target).path in ("messages", "input", "contents")


# Wrong types

OTHERS: Final[tuple[Any, ...]] = ("x", 1, 1.5, True, None, [], {}, [1], [{}], {"x": 1})
"""A value of each JSON type, and full and empty ones."""


def places(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    if path:
        yield path
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, inner in entries:
        yield from places(inner, (*path, step))


def at(value: Any, path: tuple[str | int, ...]) -> Any:
    for step in path:
        value = value[step]
    return value


def replaced(value: Any, path: tuple[str | int, ...], new: Any) -> Any:
    if not path:
        return new
    step, *rest = path
    other = dict(value) if isinstance(value, dict) else list(value)
    other[step] = replaced(value[step], tuple(rest), new)
    return other


def shown(path: tuple[str | int, ...]) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).removeprefix(".")


def under(path: str, above: str) -> bool:
    return path == above or (path.startswith(above) and path[len(above) : len(above) + 1] in (".", "["))


def explains(refused: RequestRefused, changed: tuple[str | int, ...], new: Any) -> bool:
    """Whether the refusal is of the place that was changed, or of one that needs what was there."""
    here = shown(changed)
    if under(refused.path, here) or under(here, refused.path):
        return True
    if "tool call" in refused.reason:  # which a call or a result is alone with, if the other is gone
        return True
    beside = shown(changed[:-1])
    return bool(under(refused.path, beside) if beside else not new and refused.reason == "is missing")


@pytest.mark.slow
@pytest.mark.parametrize("exchange", [pytest.param(one, id=one.id) for one in bundled()])
def test_wrong_types_at_every_field(exchange: Exchange) -> None:
    body, source = exchange.request, exchange.dialect
    refused_anyway = {
        target: done.path for target in DIALECTS if isinstance(done := attempt(body, source, target), RequestRefused)
    }
    for path in places(body):
        before = at(body, path)
        for new in OTHERS:
            if type(new) is type(before) and not isinstance(new, list | dict):
                continue
            changed = replaced(body, path, new)
            for target in DIALECTS:
                done = attempt(changed, source, target)
                if isinstance(done, RequestRefused) and done.path != refused_anyway.get(target):
                    assert explains(done, path, new), f"{shown(path)} = {new!r} to {target}: {done}"


@each_pair
@pytest.mark.parametrize("role", ["", "wizard", "USER", "model " * 3])
def test_unknown_roles(role: str, source: str, target: str) -> None:
    body = request(source, {**spoken(source, "hi"), "role": role})
    if source == "gemini" and not role:
        translation(body, source, target)  # which has a role that goes without saying
        return
    refused = refusal(body, source, target)
    assert refused.path == {"gemini": "contents[1].role", "openai-responses": "input[1].role"}.get(
        source, "messages[1].role"
    )


# Calls and results

ORPHANS: Final = {
    "anthropic": "messages[1].content[0].tool_use_id",
    "openai-chat": "messages[1].tool_call_id",
    "openai-responses": "input[1].call_id",
    "gemini": "contents[1].parts[0].functionResponse.id",
}


@each_pair
def test_a_result_without_a_call(source: str, target: str) -> None:
    done = attempt(request(source, results(source, ("call_9", "f", "ok"))), source, target)
    if source == target == "gemini":
        assert isinstance(done, TranslatedRequest)  # whose calls may be in a cache
        return
    assert isinstance(done, RequestRefused)
    assert done.path == ORPHANS[source]
    assert "call_9" in done.reason


UNANSWERED: Final = {
    "anthropic": "messages[1].content[0]",
    "openai-chat": "messages[1].tool_calls[0]",
    "openai-responses": "input[1]",
    "gemini": "contents[1].parts[0]",
}


@each_pair
def test_a_call_without_a_result(source: str, target: str) -> None:
    done = attempt(request(source, calls(source, CALL), spoken(source, "well?")), source, target)
    if source == target:
        assert isinstance(done, TranslatedRequest)  # its provider says what it thinks of it
        return
    assert isinstance(done, RequestRefused)
    assert done.path == UNANSWERED[source]
    assert "has no result" in done.reason


@each_pair
def test_two_results_of_one_call(source: str, target: str) -> None:
    body = request(source, calls(source, CALL), results(source, ("call_1", "f", "one"), ("call_1", "f", "two")))
    done = attempt(body, source, target)
    if source != target:
        assert isinstance(done, RequestRefused)
        assert "call_1" in done.reason
        assert under(done.path, next(key for key in ("messages", "input", "contents") if key in body))


@each_pair
def test_two_calls_of_one_id(source: str, target: str) -> None:
    again = ("call_1", "g", "{}")
    body = request(source, calls(source, CALL, again), results(source, ("call_1", "f", "one"), ("call_1", "g", "two")))
    done = translation(body, source, target)
    if source == target:
        return
    assert [loss.kind for loss in done.losses if "call_1" in loss.detail] == ["repair"]
    known = written_ids(done.body, target)
    assert len(known) == 4
    assert known[:2] == known[2:]
    assert len(set(known)) == 2


@each_pair
def test_the_same_id_in_later_turns(source: str, target: str) -> None:
    turn = [calls(source, CALL), results(source, ("call_1", "f", "ok")), spoken(source, "again")]
    done = translation(request(source, *turn, *turn), source, target)
    if source != target:
        assert [loss.kind for loss in done.losses if "call_1" in loss.detail] == ["repair"]
        assert len(set(written_ids(done.body, target))) == 2


ODD_IDS: Final = [
    "functions.f:0",
    "with space",
    "é✓",
    "a" * 200,
    "x/y|z",
    '"',
    "\\",
    "\ud800",
    "__proto__",
    "ccproxy_!",
]


@each_pair
@pytest.mark.parametrize("id", ODD_IDS)
def test_ids_of_other_characters(id: str, source: str, target: str) -> None:
    body = request(source, calls(source, (id, "f", "{}")), results(source, (id, "f", "ok")))
    done = translation(body, source, target)
    call, result = written_ids(done.body, target)
    assert call == result
    if target == "anthropic" and source != target:
        assert set(call) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")
    if target == "openai-responses" and source != target:
        assert len(call) <= 64


def written_ids(body: Any, dialect: str) -> list[str]:
    """The ids of all calls, then those of all results."""
    match dialect:
        case "anthropic":
            blocks = [block for m in body["messages"] if isinstance(m["content"], list) for block in m["content"]]
            return [b["id"] for b in blocks if "id" in b] + [b["tool_use_id"] for b in blocks if "tool_use_id" in b]
        case "openai-chat":
            made = [call["id"] for m in body["messages"] for call in m.get("tool_calls", ())]
            return made + [m["tool_call_id"] for m in body["messages"] if m["role"] == "tool"]
        case "openai-responses":
            made = [item["call_id"] for item in body["input"] if item.get("type") == "function_call"]
            return made + [item["call_id"] for item in body["input"] if item.get("type") == "function_call_output"]
        case _:
            parts = [part for content in body["contents"] for part in content["parts"]]
            made = [part["functionCall"]["id"] for part in parts if "functionCall" in part]
            return made + [part["functionResponse"]["id"] for part in parts if "functionResponse" in part]


@each_pair
@pytest.mark.parametrize("name", ["", "with space", "é✓", "n" * 300, "__proto__", "a.b:c/d", "\ud800"])
def test_names_of_other_characters(name: str, source: str, target: str) -> None:
    body = request(source, calls(source, ("call_1", name, "{}")), results(source, ("call_1", name, "ok")))
    done = attempt(body, source, target)
    if not name:
        assert isinstance(done, RequestRefused)
        assert done.path.endswith("name")
    else:
        assert isinstance(done, TranslatedRequest)


@pytest.mark.parametrize(
    "arguments", ["", " ", "{", "[1]", "null", '"x"', "1", '{"a":1}}', "{" * 5000, '{"a":1e999}', "\ud800"]
)
@pytest.mark.parametrize("target", DIALECTS)
@pytest.mark.parametrize("source", ["openai-chat", "openai-responses"])
def test_arguments_that_are_no_object(arguments: str, source: str, target: str) -> None:
    body = request(source, calls(source, ("call_1", "f", arguments)), results(source, ("call_1", "f", "ok")))
    done = translation(body, source, target)
    if target in ("anthropic", "gemini") and arguments.strip():
        assert [loss.kind for loss in done.losses if "arguments" in loss.detail] == ["repair"]


# Nothing said


@each_pair
def test_no_messages(source: str, target: str) -> None:
    body = request(source)
    key = next(key for key in ("messages", "input", "contents") if key in body)
    for empty in ([], None):
        refused = refusal({**body, key: empty}, source, target)
        assert refused.path == key
    assert refusal({name: value for name, value in body.items() if name != key}, source, target).path == key


@each_pair
def test_an_empty_message(source: str, target: str) -> None:
    """A text of nothing is kept, or reported; alone it may be too little for a request."""
    key = "parts" if source == "gemini" else "content"
    for nothing in ([], [{"text": ""} if source == "gemini" else {"type": empty_text(source), "text": ""}]):
        body = request(source, {"role": "user", key: nothing}, spoken(source, "there?"))
        translation(body, source, target)
        alone = request(source)
        name = next(name for name in ("messages", "input", "contents") if name in alone)
        done = attempt({**alone, name: [{"role": "user", key: nothing}]}, source, target)
        if isinstance(done, RequestRefused):
            assert under(done.path, f"{name}[0]")


def empty_text(source: str) -> str:
    return "input_text" if source == "openai-responses" else "text"


# Too much

SIZE: Final = 10 * 1024 * 1024


@each_pair
def test_a_large_image(source: str, target: str) -> None:
    data = b64encode(bytes(range(256)) * (SIZE * 3 // 4 // 256)).decode("ascii")
    body = json.dumps(request(source, picture(source, data))).encode()
    tracemalloc.start()
    try:
        done = translate_request(body, source, target, **OPTIONS)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert data in json.dumps(done.body)
    assert peak < 6 * len(body), f"{peak / len(body):.1f} times the body"


def nested(depth: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(depth):
        schema = {"type": "object", "properties": {"a": schema}}
    return schema


def flat_text(source: str, depth: int) -> bytes:
    """The request with a schema of that depth, written without recursion."""
    mark = json.dumps("schema")
    whole = json.dumps(tool(source, "schema"))
    return whole.replace(mark, '{"type":"object","properties":{"a":' * depth + "{}" + "}}" * depth).encode()


@each_pair
def test_a_schema_nested_too_deep(source: str, target: str) -> None:
    for body in (flat_text(source, 1000), tool(source, nested(1000))):
        refused = outcome(body, source, target)
        assert isinstance(refused, RequestRefused)
        assert refused.path.startswith("tools[0].")
        assert "nested too deep" in refused.reason
        assert_own_error(refused, source)


@each_pair
@pytest.mark.parametrize("depth", [50, 100, 200, 300, 400, 430, 440, 450, 460, 470, 480])
def test_a_deep_schema_is_translated_or_refused(depth: int, source: str, target: str) -> None:
    done = outcome(flat_text(source, depth), source, target)
    if isinstance(done, RequestRefused):
        assert depth > 100
        assert done.path.startswith("tools[0].")
        assert "nested too deep" in done.reason
    else:
        assert loads(dumps(done.body)) == done.body


def test_a_mapping_that_holds_itself() -> None:
    body: dict[str, Any] = request("openai-chat")
    body["metadata"] = body
    with pytest.raises(RequestRefused, match="nested too deep") as caught:
        translate_request(body, "openai-chat", "anthropic")
    assert caught.value.path.startswith("metadata.metadata")


NUMBERS: Final = [
    *("max_tokens", "max_completion_tokens", "max_output_tokens", "temperature", "top_p", "top_k", "top_logprobs"),
    *("seed", "n", "frequency_penalty", "presence_penalty"),
]
NESTED_NUMBERS: Final = ["maxOutputTokens", "temperature", "topP", "topK", "seed", "candidateCount", "logprobs"]
LARGE: Final = [0, -1, 2**31, 2**63, 2**64, 10**30, -(10**30), 1e308, -1e308, 5e-324, 0.1 + 0.2]


@each_pair
@pytest.mark.parametrize("number", LARGE)
def test_numbers_out_of_range(number: float, source: str, target: str) -> None:
    """They are the provider's to judge, but for what can't be written for the target."""
    fields = NESTED_NUMBERS if source == "gemini" else NUMBERS
    for field in fields:
        given: dict[str, Any] = {"generationConfig": {field: number}} if source == "gemini" else {field: number}
        for body in ({**request(source), **given}, dumps({**request(source), **given})):
            done = attempt(body, source, target)
            if isinstance(done, RequestRefused):
                assert done.path.endswith(field)
    thinking: dict[str, Any] = {
        "anthropic": {"thinking": {"type": "enabled", "budget_tokens": number}},
        "openai-chat": {"thinking": {"type": "enabled", "budget_tokens": number}},
        "openai-responses": {"reasoning": {"effort": number}},
        "gemini": {"generationConfig": {"thinkingConfig": {"thinkingBudget": number}}},
    }[source]
    attempt({**request(source), **thinking}, source, target)


@each_pair
@pytest.mark.parametrize("number", ["1e400", "-1e400"])
def test_a_number_that_is_none(number: str, source: str, target: str) -> None:
    body = json.dumps({**request(source), "x": {"y": [0, "here"]}}).replace('"here"', number)
    assert refusal(body, source, target).path == "x.y[1]"
    for odd in (float("nan"), float("inf")):
        assert refusal({**request(source), "x": {"y": [0, odd]}}, source, target).path == "x.y[1]"


@each_pair
@pytest.mark.parametrize("odd", [1j, ..., print])
def test_what_json_has_no_form_for(odd: object, source: str, target: str) -> None:
    assert refusal({**request(source), "x": [{"y": odd}]}, source, target).path == "x[0].y"


SURROGATES: Final = ["\ud83d", "\ude00", "a\ud800b", "\ude00\ud83d"]


@each_pair
@pytest.mark.parametrize("text", SURROGATES)
def test_halves_of_characters(text: str, source: str, target: str) -> None:
    body = request(source, spoken(source, text), calls(source, ("call_1", "f", json.dumps({text: text}))))
    key = next(key for key in ("messages", "input", "contents") if key in body)
    said = results(source, ("call_1", "f", text))
    body[key] += said if isinstance(said, list) else [said]
    for form in (body, json.dumps(body), json.dumps(body).encode()):
        done = translation(form, source, target)
        assert json.dumps(text)[1:-1] in json.dumps(done.body)


@each_pair
def test_keys_that_mean_something_elsewhere(source: str, target: str) -> None:
    for key in ("__proto__", "constructor", "", ".", "a.b", "[0]", "function.name", "generationConfig.x", "$ref"):
        for body in (
            {**request(source), key: {"x": 1}},
            request(source, {**spoken(source, "hi"), key: {"x": 1}}),
            tool(source, {"type": "object", "properties": {key: {"type": "string"}}}),
            request(source, calls(source, ("c", "f", json.dumps({key: {key: 1}}))), results(source, ("c", "f", "ok"))),
        ):
            translation(body, source, target)


# What is given and what comes out


@pytest.mark.parametrize("exchange", [pytest.param(one, id=one.id) for one in bundled()])
@pytest.mark.parametrize("target", DIALECTS)
def test_nothing_is_shared(exchange: Exchange, target: str) -> None:
    """What comes out may be changed without harm to what was given, and to what comes out next; the reverse likewise."""
    for options in ({}, {"normalize": True}):
        given: Any = copy.deepcopy(exchange.request)
        try:
            done = translate_request(given, exchange.dialect, target, model="some-model", **options)
        except RequestRefused:
            return
        before = copy.deepcopy(done.body)
        spoil(given)
        assert done.body == before
        spoil(done.body)
        again = translate_request(exchange.request or {}, exchange.dialect, target, model="some-model", **options)
        assert again.body == before


def spoil(value: Any) -> None:
    if isinstance(value, dict):
        for inner in value.values():
            spoil(inner)
        value["spoilt"] = True
    elif isinstance(value, list):
        for inner in value:
            spoil(inner)
        value.append("spoilt")


# Anything

BODIES: Final = [(one.dialect, one.request) for one in bundled()]
PIECES: Final = [at(body, path) for _, body in BODIES for path in places(body)]
"""Everything that is anywhere in a request, to be put where it does not belong."""
VALUES: Final = st.one_of(
    st.sampled_from(PIECES),
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(max_size=9),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
        max_leaves=6,
    ),
)


@st.composite
def mutants(draw: st.DrawFn) -> tuple[str, Any]:
    """A dialect and one of its requests, spoilt in a few places."""
    dialect, body = draw(st.sampled_from(BODIES))
    for _ in range(draw(st.integers(1, 4))):
        path = draw(st.sampled_from(list(places(body)) or [()]))
        if not path:
            break
        *above, last = path
        parent = at(body, tuple(above))
        match draw(st.sampled_from(["put", "drop", "twice", "reverse", "again"])):
            case "drop" if isinstance(parent, dict):
                new: Any = {key: value for key, value in parent.items() if key != last}
            case "drop":
                new = [value for position, value in enumerate(parent) if position != last]
            case "twice" if isinstance(parent, list):
                new = [*parent[: int(last) + 1], *parent[int(last) :]]
            case "reverse" if isinstance(parent, list):
                new = parent[::-1]
            case "again":
                new = replaced(
                    parent,
                    (last,),
                    draw(st.sampled_from(list(parent.values() if isinstance(parent, dict) else parent))),
                )
            case _:
                new = replaced(parent, (last,), draw(VALUES))
        body = replaced(body, tuple(above), new)
    return dialect, body


@given(mutants())
def test_anything_is_translated_or_refused(mutant: tuple[str, Any]) -> None:
    source, body = mutant
    for target in DIALECTS:
        done = attempt(body, source, target)
        if isinstance(done, TranslatedRequest):
            attempt(done.body, target, source)


@given(st.binary(max_size=60) | st.text(max_size=60), st.sampled_from(PAIRS))
def test_any_bytes_are_refused(body: bytes | str, pair: tuple[str, str]) -> None:
    attempt(body, *pair)
