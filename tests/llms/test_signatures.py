"""The documented names of `ccproxy.llms.streaming`, with their exact parameters, defaults and kinds."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest

from ccproxy.llms import streaming

REQUIRED = inspect.Parameter.empty
CHUNK = {"message_id": REQUIRED, "model": REQUIRED, "created": REQUIRED}

MODULES = {
    "accumulators": ["ClaudeAccumulator", "OpenAIAccumulator", "ResponsesAccumulator", "StreamAccumulator"],
    "formatters": ["AnthropicSSEFormatter", "OpenAISSEFormatter"],
    "processors": ["AnthropicStreamProcessor", "OpenAIStreamProcessor"],
}
NAMES = sorted(name for names in MODULES.values() for name in names)

FORMATTERS: dict[str, dict[str, Any]] = {
    "AnthropicSSEFormatter.format_event": {"event_type": REQUIRED, "data": REQUIRED},
    "AnthropicSSEFormatter.format_ping": {},
    "AnthropicSSEFormatter.format_done": {},
    "OpenAISSEFormatter.format_data_event": {"data": REQUIRED},
    "OpenAISSEFormatter.format_first_chunk": CHUNK | {"role": "assistant"},
    "OpenAISSEFormatter.format_content_chunk": CHUNK | {"content": REQUIRED, "choice_index": 0},
    "OpenAISSEFormatter.format_tool_call_chunk": CHUNK
    | {
        "tool_call_id": REQUIRED,
        "function_name": None,
        "function_arguments": None,
        "tool_call_index": 0,
        "choice_index": 0,
    },
    "OpenAISSEFormatter.format_final_chunk": CHUNK | {"finish_reason": "stop", "choice_index": 0, "usage": None},
    "OpenAISSEFormatter.format_error_chunk": CHUNK | {"error_type": REQUIRED, "error_message": REQUIRED},
    "OpenAISSEFormatter.format_done": {},
}

ACCUMULATORS = ["StreamAccumulator", "ClaudeAccumulator", "OpenAIAccumulator", "ResponsesAccumulator"]
BASE: dict[str, dict[str, Any]] = {
    "accumulate": {"event_name": REQUIRED, "event_data": REQUIRED},
    "get_complete_tool_calls": {},
    "rebuild_response_object": {"response": REQUIRED},
}
METHODS: dict[str, dict[str, Any]] = {
    **{f"{owner}.{name}": parameters for owner in ACCUMULATORS for name, parameters in BASE.items()},
    "ClaudeAccumulator.get_block_info": {"index": REQUIRED},
    "ClaudeAccumulator.get_tool_entry": {"index_or_id": REQUIRED},
    "ResponsesAccumulator.get_completed_response": {},
}

CONSTRUCTORS: dict[str, dict[str, Any]] = {
    **{name: {} for name in ACCUMULATORS},
    "OpenAIStreamProcessor": {
        "message_id": None,
        "model": "claude-3-5-sonnet-20241022",
        "created": None,
        "enable_usage": True,
        "enable_tool_calls": True,
        "enable_thinking_serialization": None,
        "output_format": "sse",
    },
    "AnthropicStreamProcessor": {"model": "claude-3-5-sonnet-20241022"},
}


def parameters_of(function: Callable[..., Any]) -> dict[str, Any]:
    """Names and defaults in order; every parameter may be given by position and by name."""
    parameters = inspect.signature(function).parameters.values()
    assert all(parameter.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD for parameter in parameters)
    return {parameter.name: parameter.default for parameter in parameters}


def member(path: str) -> Any:
    """What stands in the class's own `__mro__`, unbound, so that a staticmethod shows."""
    owner, _, name = path.partition(".")
    return inspect.getattr_static(getattr(streaming, owner), name)


def same(found: dict[str, Any], expected: dict[str, Any]) -> None:
    assert list(found) == list(expected)
    assert found == expected


def test_exported_names() -> None:
    assert sorted(streaming.__all__) == NAMES


@pytest.mark.parametrize(("module", "name"), [(module, name) for module, names in MODULES.items() for name in names])
def test_each_name_is_also_in_its_module(module: str, name: str) -> None:
    assert getattr(import_module(f"ccproxy.llms.streaming.{module}"), name) is getattr(streaming, name)


@pytest.mark.parametrize("path", FORMATTERS)
def test_formatter(path: str) -> None:
    method = member(path)
    assert isinstance(method, staticmethod)
    assert not inspect.iscoroutinefunction(method.__func__)
    same(parameters_of(method.__func__), FORMATTERS[path])


@pytest.mark.parametrize("path", METHODS)
def test_method(path: str) -> None:
    method = member(path)
    assert inspect.isfunction(method)
    assert not inspect.iscoroutinefunction(method)
    same(parameters_of(method), {"self": REQUIRED} | METHODS[path])


@pytest.mark.parametrize("name", CONSTRUCTORS)
def test_constructor(name: str) -> None:
    same(parameters_of(getattr(streaming, name)), CONSTRUCTORS[name])


@pytest.mark.parametrize(
    ("path", "parameter"),
    [("OpenAIStreamProcessor.process_stream", "claude_stream"), ("AnthropicStreamProcessor.process_stream", "stream")],
)
def test_process_stream_is_an_async_generator(path: str, parameter: str) -> None:
    method = member(path)
    assert inspect.isasyncgenfunction(method)
    same(parameters_of(method), {"self": REQUIRED, parameter: REQUIRED})


@pytest.mark.parametrize("name", ACCUMULATORS)
def test_every_accumulator_is_a_stream_accumulator(name: str) -> None:
    assert issubclass(getattr(streaming, name), streaming.StreamAccumulator)


def test_the_base_accumulates_nothing_itself() -> None:
    with pytest.raises((NotImplementedError, TypeError)):
        streaming.StreamAccumulator().accumulate("", {})
