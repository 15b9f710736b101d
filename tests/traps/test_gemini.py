"""Gemini: calls, signatures and reasons that other programs lose on the way."""

import pytest

from ccproxy import Translator, collect, translate_response
from ccproxy.core.errors import StreamFailed
from ccproxy.core.signatures import unseal

from .outputs import Output, Said
from .streams import (
    DIALECTS,
    GEMINI_USAGE,
    Json,
    candidate,
    chat,
    chunk,
    each_source,
    each_target,
    function_call,
    gemini,
    run,
    said,
    texts,
    thinking_block,
    usage_of,
)
from .streams import message as anthropic_message

SIGNATURE = "c3ludGhldGlj"
OTHER = "b3RoZXI="
TIDES = '{"port":"Brest"}'


def text(words: str, **more: str) -> Json:
    return {"text": words, **more}


def thought(words: str, **more: str) -> Json:
    return {"text": words, "thought": True, **more}


def signed(output: Output) -> list[Said]:
    return [part for part in output.said if part[0] == "signed"]


def there_and_back(data: bytes, by: str) -> list[Said]:
    """By way of another dialect, what a Gemini client gets in the end."""
    return run(by, "gemini", run("gemini", by, data).raw).said


# 15


@each_target
def test_trap_15_a_call_that_is_a_name_alone(target: str) -> None:
    data = gemini(candidate(function_call("read_theme", signature=SIGNATURE)), candidate(text(""), finish="STOP"))
    (call,) = run("gemini", target, data).tools
    assert call[2] == "read_theme"
    assert call[3] in ("", "{}")  # Anthropic's block begins with its empty input


def test_trap_15_its_signature_stays() -> None:
    data = gemini(candidate(function_call("read_theme", signature=SIGNATURE), finish="STOP"))
    assert run("gemini", "gemini", data).said == [("signed", "call", SIGNATURE), ("tool", "", "read_theme", "{}")]


def piece(path: str, value: str) -> Json:
    entry = {"jsonPath": path, "stringValue": value, "willContinue": True}
    return {"functionCall": {"partialArgs": [entry], "willContinue": True}}


@pytest.mark.parametrize("terminal", [[], [{"functionCall": {}}], [{"functionCall": {"partialArgs": []}}]])
@each_target
def test_trap_15_a_call_in_pieces(target: str, terminal: list[Json]) -> None:
    """The last piece need not say that it is the last."""
    parts = [function_call("f", willContinue=True), piece("$.port", "Br"), piece("$.port", "est"), *terminal]
    data = gemini(*map(candidate, parts), candidate(text(""), finish="STOP"))
    (call,) = run("gemini", target, data).tools
    assert call[2:] == ("f", TIDES)


def test_trap_15_pieces_that_were_cut_are_no_object() -> None:
    """Nobody may take half of the arguments for all."""
    data = gemini(candidate(function_call("f", willContinue=True)), candidate(piece("$.port", "Br")))
    output = run("gemini", "openai-chat", data)
    assert output.error is not None
    assert output.tools[0][3] == '{"port":"Br"'


# 41


@each_target
def test_trap_41_a_signature_makes_no_reasoning(target: str) -> None:
    data = gemini(candidate(text("Half ")), candidate(text("signed.", thoughtSignature=SIGNATURE), finish="STOP"))
    output = run("gemini", target, data)
    assert output.joined("text") == "Half signed."
    assert output.joined("reasoning") == ""


@each_target
def test_trap_41_thought_does(target: str) -> None:
    data = gemini(
        candidate(thought("Hm.")), candidate(thought("", thoughtSignature=SIGNATURE), text("So."), finish="STOP")
    )
    output = run("gemini", target, data)
    assert (output.joined("reasoning"), output.joined("text")) == ("Hm.", "So.")


def test_trap_41_the_body_keeps_it() -> None:
    data = gemini(candidate(text("Signed.", thoughtSignature=SIGNATURE), finish="STOP"))
    parts = collect(data, "gemini", "gemini")["candidates"][0]["content"]["parts"]
    assert [part["text"] for part in parts if part.get("text")] == ["Signed."]
    assert [part["thoughtSignature"] for part in parts if "thoughtSignature" in part] == [SIGNATURE]


# 42

PLACES: dict[str, tuple[list[Json], list[Said]]] = {
    "call": (
        [function_call("f", {"port": "Brest"}, SIGNATURE, id="c1"), function_call("g", {}, id="c2")],
        [("signed", "call", SIGNATURE), ("tool", "c1", "f", TIDES), ("tool", "c2", "g", "{}")],
    ),
    "call after a thought": (
        [thought("Hm."), function_call("f", {"port": "Brest"}, SIGNATURE, id="c1")],
        [("reasoning", "Hm."), ("signed", "call", SIGNATURE), ("tool", "c1", "f", TIDES)],
    ),
    "two calls": (
        [function_call("f", {}, SIGNATURE, id="c1"), function_call("g", {}, OTHER, id="c2")],
        [
            ("signed", "call", SIGNATURE),
            ("tool", "c1", "f", "{}"),
            ("signed", "call", OTHER),
            ("tool", "c2", "g", "{}"),
        ],
    ),
    "text": (
        [text("Said."), text("", thoughtSignature=SIGNATURE)],
        [("text", "Said."), ("signed", "text", SIGNATURE)],
    ),
    "thought": (
        [thought("Hm.", thoughtSignature=SIGNATURE), text("Said.")],
        [("reasoning", "Hm."), ("signed", "reasoning", SIGNATURE), ("text", "Said.")],
    ),
}


@pytest.mark.parametrize("place", PLACES)
def test_trap_42_signatures_stay_where_they_are(place: str) -> None:
    parts, expected = PLACES[place]
    assert (
        run("gemini", "gemini", gemini(*map(candidate, parts[:-1]), candidate(parts[-1], finish="STOP"))).said
        == expected
    )
    assert run("gemini", "gemini", gemini(candidate(*parts, finish="STOP"))).said == expected


@pytest.mark.parametrize("by", ["anthropic", "openai-responses"])
@pytest.mark.parametrize("place", PLACES)
def test_trap_42_signatures_come_back(place: str, by: str) -> None:
    """By way of another dialect: in an envelope, with what they sign."""
    parts, expected = PLACES[place]
    assert there_and_back(gemini(candidate(*parts, finish="STOP")), by) == expected


def test_trap_42_another_provider_s_signature_is_in_an_envelope() -> None:
    """The SDK takes nothing but base64, and Gemini must not get what it did not make."""
    data = anthropic_message(*thinking_block(0, "Hm.", signature="not base64 (by Anthropic)"))
    ((_, place, value),) = signed(run("anthropic", "gemini", data))
    sealed = unseal(value)
    assert place == "reasoning"
    assert sealed is not None
    assert (sealed.scheme, sealed.value) == ("anthropic", "not base64 (by Anthropic)")


@pytest.mark.parametrize("whole", [False, True])
def test_trap_42_a_signature_after_calls(whole: bool) -> None:
    """A message of Chat has its text before its calls: a body can't tell where it was, and the loss says so."""
    parts = [text("Said."), function_call("f", {}, id="c1"), text("", thoughtSignature=SIGNATURE)]
    data = gemini(candidate(*parts, finish="STOP"))
    chat = Translator("gemini", "openai-chat")
    out = chat.feed(data) + chat.close()
    assert [(loss.kind, loss.part) for loss in chat.losses] == [("order", 2)]
    if whole:
        back = translate_response(chat.body(), "openai-chat", "gemini").body["candidates"][0]["content"]["parts"]
    else:
        back = collect(out, "openai-chat", "gemini")["candidates"][0]["content"]["parts"]
    kinds = ["functionCall" if "functionCall" in part else part.get("thoughtSignature", "text") for part in back]
    assert kinds == (["text", SIGNATURE, "functionCall"] if whole else ["text", "functionCall", SIGNATURE])


# What is not Gemini's alone to know: nothing is dropped in silence.


@pytest.mark.parametrize("target", [*DIALECTS, "gemini"])
@pytest.mark.parametrize(
    "call", [{}, {"id": "c1"}, {"args": {"a": 1}}, {"args": {}}, {"name": "", "args": {"a": 1}}, {"name": None}]
)
def test_a_call_without_a_name_is_a_loss(call: Json, target: str) -> None:
    data = gemini(candidate(text("Said."), {"functionCall": call}, finish="STOP"))
    output = run("gemini", target, data)
    assert [(loss.kind, loss.part) for loss in output.translator.losses] == [("part", 1)]
    assert output.joined("text") == "Said."
    chunk = candidate(text("Said."), {"functionCall": call}, finish="STOP")
    translated = translate_response(chunk, "gemini", target, normalize=True)
    assert [(loss.kind, loss.part) for loss in translated.losses] == [("part", 1)]


@pytest.mark.parametrize("target", DIALECTS)
def test_an_end_mark_of_a_call_that_has_ended_is_no_call(target: str) -> None:
    data = gemini(candidate(function_call("f", {}, id="c1")), candidate({"functionCall": {}}, finish="STOP"))
    output = run("gemini", target, data)
    assert output.said == [("tool", "c1", "f", "{}")]
    assert output.translator.losses == ()


@pytest.mark.parametrize("target", DIALECTS)
@pytest.mark.parametrize("finish", ["STOP", "MAX_TOKENS", "OTHER", "MALFORMED_FUNCTION_CALL"])
def test_what_the_finish_explains_is_a_loss(finish: str, target: str) -> None:
    chunk = candidate(text("Said."), finish=finish, finishMessage="It says why.")
    for losses in (
        run("gemini", target, gemini(chunk)).translator.losses,
        translate_response(chunk, "gemini", target).losses,
    ):
        assert ("finish", "It says why.") in [(loss.kind, loss.detail) for loss in losses]


def test_the_explanation_of_a_refusal_crosses() -> None:
    chunk = candidate(text("Said."), finish="SAFETY", finishMessage="It says why.")
    translated = translate_response(chunk, "gemini", "anthropic")
    details = {"type": "refusal", "category": None, "explanation": "It says why."}
    assert (translated.body["stop_reason"], translated.body["stop_details"]) == ("refusal", details)
    assert translated.losses == ()
    assert collect(gemini(chunk), "gemini", "anthropic")["stop_details"] == details
    assert run("gemini", "anthropic", gemini(chunk)).translator.losses == ()
    output = run("gemini", "gemini", gemini(chunk))
    assert output.translator.body()["candidates"][0]["finishMessage"] == "It says why."


@pytest.mark.parametrize("target", DIALECTS)
def test_what_every_call_s_finish_says_is_no_explanation(target: str) -> None:
    chunk = candidate(function_call("f", {}), finish="STOP", finishMessage="Model generated function call(s).")
    assert run("gemini", target, gemini(chunk)).translator.losses == ()


GROUNDING: Json = {
    "webSearchQueries": ["tides"],
    "searchEntryPoint": {"renderedContent": "<div></div>"},
    "groundingChunks": [{"web": {"uri": "https://example.invalid", "title": "t"}}],
}


@pytest.mark.parametrize("target", DIALECTS)
@pytest.mark.parametrize("said", [[{"text": "Said."}], []])
def test_searches_are_a_loss(said: list[Json], target: str) -> None:
    chunk = candidate(*said, finish="STOP", groundingMetadata=GROUNDING)
    part = 0 if said else None
    for losses in (
        run("gemini", target, gemini(chunk)).translator.losses,
        translate_response(chunk, "gemini", target).losses,
    ):
        assert ("opaque", part, "gemini: groundingMetadata") in [(one.kind, one.part, one.detail) for one in losses]


def test_searches_stay_in_the_same_dialect() -> None:
    chunk = candidate(text("Said."), finish="STOP", groundingMetadata=GROUNDING)
    output = run("gemini", "gemini", gemini(chunk))
    assert output.translator.losses == ()
    translated = translate_response(chunk, "gemini", "gemini", normalize=True)
    assert translated.losses == ()
    for body in (translated.body, output.translator.body()):
        assert body["candidates"][0]["groundingMetadata"] == GROUNDING


# 56


@each_target
def test_trap_56_usage_on_every_chunk(target: str) -> None:
    """The counts are totals, the last ones count, and thoughts are output."""
    data = gemini(
        candidate(thought("Hm."), usage={"promptTokenCount": 21, "thoughtsTokenCount": 3}),
        candidate(text("So "), usage=GEMINI_USAGE | {"candidatesTokenCount": 2}),
        candidate(text("be it."), finish="STOP", usage=GEMINI_USAGE),
    )
    usage = usage_of(run("gemini", target, data))
    assert usage.get("input_tokens", usage.get("prompt_tokens")) == 21
    assert usage.get("output_tokens", usage.get("completion_tokens")) == 9


@each_target
def test_trap_56_usage_alone_after_the_finish(target: str) -> None:
    late = {"usageMetadata": GEMINI_USAGE, "modelVersion": "model-1", "responseId": "response-trap"}
    usage = usage_of(run("gemini", target, gemini(candidate(text("Hi"), finish="STOP"), late)))
    assert usage.get("output_tokens", usage.get("completion_tokens")) == 9


@each_source
def test_trap_56_usage_is_on_the_last_chunk(source: str) -> None:
    usage = usage_of(run(source, "gemini", texts(source, "Hi") if source != "openai-chat" else CHAT))
    assert (usage["promptTokenCount"], usage["candidatesTokenCount"], usage["totalTokenCount"]) == (21, 9, 30)


CHAT = chat(
    chunk(said("Hi")),
    chunk(finish="stop"),
    chunk() | {"choices": [], "usage": {"prompt_tokens": 21, "completion_tokens": 9}},
)


# 60

REASONS = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "SAFETY": "content_filter",
    "RECITATION": "content_filter",
    "OTHER": "stop",
    "MALFORMED_FUNCTION_CALL": "stop",
    "A_NEW_REASON": "stop",
}


@pytest.mark.parametrize("reason", REASONS)
def test_trap_60_every_reason_has_its_place(reason: str) -> None:
    data = gemini(candidate(text("Hi")), candidate(text(""), finish=reason))
    assert run("gemini", "openai-chat", data).finish == REASONS[reason]
    assert run("gemini", "gemini", data).finish == reason


@pytest.mark.parametrize("parts", [[], [text("Hm", thought=True)]])
@pytest.mark.parametrize("target", ["anthropic", "openai-chat", "openai-responses"])
def test_trap_60_a_call_that_came_to_nothing_is_no_end_of_the_work(target: str, parts: list[Json]) -> None:
    chunk = candidate(*parts, finish="MALFORMED_FUNCTION_CALL")
    output = run("gemini", target, gemini(chunk))
    assert output.error is not None
    assert "MALFORMED_FUNCTION_CALL" in output.error["message"]
    with pytest.raises(StreamFailed, match="MALFORMED_FUNCTION_CALL"):
        translate_response(chunk, "gemini", target)


def test_trap_60_but_gemini_has_a_word_for_it() -> None:
    data = gemini(candidate(finish="MALFORMED_FUNCTION_CALL"))
    assert run("gemini", "gemini", data).finish == "MALFORMED_FUNCTION_CALL"


def test_trap_60_no_reason_is_no_word() -> None:
    data = gemini(candidate(text("Hi"), finish="FINISH_REASON_UNSPECIFIED"), candidate(text(""), finish="MAX_TOKENS"))
    assert run("gemini", "openai-chat", data).finish == "length"


@each_target
def test_trap_60_a_call_does_not_hide_the_limit(target: str) -> None:
    data = gemini(candidate(function_call("f", {})), candidate(text(""), finish="MAX_TOKENS"))
    words = {"anthropic": "max_tokens", "openai-chat": "length", "openai-responses": "max_output_tokens"}
    assert run("gemini", target, data).finish == words[target]


# 69


@each_source
def test_trap_69_nothing_but_chunks(source: str) -> None:
    output = run(source, "gemini", texts(source, "Hi"))
    assert output.joined("text") == "Hi"
    assert b"[DONE]" not in output.raw
    assert all(line.startswith(b"data: {") for line in output.raw.splitlines() if line)


@each_source
def test_trap_69_pings_are_not_written(source: str) -> None:
    data = texts(source, "Hi", "there")
    ping = b'event: ping\ndata: {"type": "ping"}\n\n' if source == "anthropic" else b": ping\n\n"
    first, second, rest = data.partition(b"there")
    before, frame, after = first.rpartition(b"\n\n")
    assert run(source, "gemini", before + frame + ping + after + second + rest).pings == 0
