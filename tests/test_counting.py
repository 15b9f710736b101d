"""Requests for a number of tokens, and their answers."""

from __future__ import annotations

from typing import Any

import pytest

from ccproxy import (
    MisuseError,
    RequestRefused,
    StreamFailed,
    dialects,
    translate_count_request,
    translate_count_response,
)
from tests.exchanges import Exchange, each_exchange

COUNTING = [name for name in dialects.names() if dialects.get(name).count is not None]
TOOL = {
    "name": "add",
    "description": "adds",
    "input_schema": {"type": "object", "properties": {"a": {"type": "number"}}},
}
ASKED: dict[str, Any] = {
    "model": "claude-sonnet-4-5",
    "system": "Be brief.",
    "messages": [{"role": "user", "content": "How many?"}],
    "tools": [TOOL],
}


def test_a_whole_request_is_asked_of_gemini_where_there_is_more_than_contents() -> None:
    asked = translate_count_request(ASKED, "anthropic", "gemini", model="gemini-3-pro")
    inner = asked.body["generateContentRequest"]
    assert list(asked.body) == ["generateContentRequest"]
    assert inner["model"] == "models/gemini-3-pro"
    assert inner["contents"] == [{"role": "user", "parts": [{"text": "How many?"}]}]
    assert inner["systemInstruction"]["parts"] == [{"text": "Be brief."}]
    assert inner["tools"][0]["functionDeclarations"][0]["name"] == "add"
    assert asked.model == "gemini-3-pro"


def test_contents_alone_stay_alone() -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "How many?"}]}
    asked = translate_count_request(body, "anthropic", "gemini")
    assert asked.body == {"contents": [{"role": "user", "parts": [{"text": "How many?"}]}]}
    assert asked.losses == ()


@pytest.mark.parametrize("key", ["generateContentRequest", "generate_content_request"])
def test_a_request_within_is_read(key: str) -> None:
    inner = {
        "model": "models/x",
        "contents": [{"parts": [{"text": "Hi"}]}],
        "systemInstruction": {"parts": [{"text": "S"}]},
    }
    asked = translate_count_request({key: inner}, "gemini", "anthropic", model="claude-sonnet-4-5")
    assert asked.body == {
        "model": "claude-sonnet-4-5",
        "system": "S",
        "messages": [{"role": "user", "content": "Hi"}],
    }


def test_limits_and_sampling_are_not_counted() -> None:
    body = {"contents": [{"parts": [{"text": "Hi"}]}], "generationConfig": {"maxOutputTokens": 5, "temperature": 0.5}}
    asked = translate_count_request(body, "gemini", "anthropic", model="claude-sonnet-4-5")
    assert set(asked.body) == {"model", "messages"}
    asked = translate_count_request(body, "gemini", "openai-responses", model="gpt-5")
    assert set(asked.body) <= {"model", "input"}


@pytest.mark.parametrize("target", COUNTING)
@pytest.mark.parametrize("source", COUNTING)
def test_answers(source: str, target: str) -> None:
    answer = dialects.get(source).count
    expected = dialects.get(target).count
    assert answer is not None and expected is not None
    translated = translate_count_response(answer.write_answer(42), source, target)
    assert translated.body == expected.write_answer(42)


def test_the_same_dialect_keeps_what_came() -> None:
    body = {"totalTokens": 5, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 5}]}
    assert translate_count_response(body, "gemini", "gemini").body == body
    assert translate_count_request(ASKED, "anthropic", "anthropic").body == ASKED


@pytest.mark.parametrize("body", [b"nonsense", {}, {"input_tokens": "many"}, {"input_tokens": None}])
def test_an_answer_that_is_none(body: Any) -> None:
    with pytest.raises(StreamFailed, match=r"protocol"):
        translate_count_response(body, "anthropic", "gemini")


def test_refusals_name_the_place() -> None:
    body = {**ASKED, "messages": [{"role": "user", "content": [{"type": "text", "text": 1}]}]}
    with pytest.raises(RequestRefused) as refused:
        translate_count_request(body, "anthropic", "gemini")
    assert refused.value.path == "messages[0].content[0].text"


def test_a_dialect_that_counts_nothing() -> None:
    with pytest.raises(MisuseError, match="counts no tokens"):
        translate_count_request({"messages": []}, "openai-chat", "anthropic")
    with pytest.raises(MisuseError, match="counts no tokens"):
        translate_count_response({"input_tokens": 1}, "anthropic", "openai-chat")


@each_exchange(kind="count_tokens")
def test_recorded(exchange: Exchange) -> None:
    assert exchange.request is not None
    assert exchange.response is not None
    for target in COUNTING:
        asked = translate_count_request(exchange.request, exchange.dialect, target, model="some-model")
        assert asked.body
        answer = translate_count_response(exchange.response, exchange.dialect, target)
        back = translate_count_response(answer.body, target, exchange.dialect).body
        name = "totalTokens" if "totalTokens" in back else "input_tokens"
        assert back[name] == exchange.response[name]
