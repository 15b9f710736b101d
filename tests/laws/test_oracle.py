"""Our message is that of the official SDKs' accumulators, where they take the provider's stream as it came."""

from __future__ import annotations

from typing import Any

from ccproxy import collect
from tests.corpus import Stream, each_stream
from tests.oracles import ORACLES, Part

from .harness import run, targets
from .normal import finish_of
from .strict import STRICT
from .verdicts import OTHER_AT_THE_END, comparable, unlike


@each_stream(include_suspect=True, where=lambda stream: not stream.row.get("deviant"))
def test_as_the_official_sdk(stream: Stream) -> None:
    oracle = ORACLES[stream.dialect]
    verdict = oracle.accept(stream.data)
    result = run(stream.data, stream.dialect, stream.dialect)
    if not verdict.ok or verdict.api_error is not None or verdict.final is None or not verdict.complete:
        assert verdict.api_error is None or result.error is not None, "the SDK raises, we see no error"
        return
    if result.error is not None:
        return  # judged by the law of the cut and by the fixtures: SDKs let much pass
    problems = list(unlike(*map(oracle.normal, (result.translator.body(), verdict.final))))
    assert not problems, "\n".join(problems)


@each_stream(where=lambda stream: not OTHER_AT_THE_END & set(stream.features))
def test_as_the_stream_repeats_itself(stream: Stream) -> None:
    """Where the end of the stream repeats the whole answer: what was built from its pieces is the same."""
    twin = STRICT[stream.dialect].twin(stream.data)
    if twin is None:
        return
    bare, whole = twin
    normal = ORACLES[stream.dialect].normal
    told, built = (run(data, stream.dialect, stream.dialect) for data in (stream.data, bare))
    assert str(told.error) == str(built.error)
    if told.error is None:
        expected = normal({"status": "completed"} | whole)
        assert _named(normal(built.translator.body())["parts"]) == _named(expected["parts"])
        assert normal({"status": "completed"} | collect(stream.data, stream.dialect)) == expected


def _named(parts: list[Part]) -> list[Part]:
    """Items that only their provider understands count by name: some are only complete at the end."""
    return [part._replace(text=None) if part.kind == "opaque" else part for part in comparable(parts)]


@each_stream(recorded=False)
def test_as_the_fixtures_say(stream: Stream) -> None:
    """End, finish and delivered content of our own streams, as their manifest has them."""
    row = stream.row
    for target in targets():
        result = run(stream.data, stream.dialect, target)
        assert ("clean" if result.error is None else "error") == ("clean" if row["end"] == "clean" else "error"), (
            result.error
        )
        if row["end"] == "truncated":
            assert result.error is not None and result.error.kind == "truncated", result.error
        if row["end"] == "clean":
            assert finish_of(result.message) == row["finish"]
    if row.get("expect") is None:
        return
    said = [_said(result.message, choice) for choice in range(len(row["expect"]))]
    wanted = [{key: value for key, value in choice.items() if value} for choice in row["expect"]]
    assert said == wanted


def _said(message: Any, choice: int) -> dict[str, Any]:
    parts = [part for part in message.parts if part.start.choice == choice]
    out: dict[str, Any] = {
        kind: "".join(part.text for part in parts if part.start.kind == kind)
        for kind in ("text", "reasoning", "refusal")
    }
    out["calls"] = [[part.start.name, part.text] for part in parts if part.start.kind in ("tool", "custom_tool")]
    return {key: value for key, value in out.items() if value}
