"""Log probabilities: Gemini's lists beside each other, and the neutral entries, which are those of Chat Completions."""

from typing import Any

from ccproxy.core.fields import Fields


def read(result: Fields) -> list[Any]:
    """An entry for each token of a `logprobsResult`."""
    tops = [list(top.each("candidates")) for top in result.each("topCandidates")]
    return [
        _entry(chosen) | {"top_logprobs": [_entry(top) for top in tops[number]] if number < len(tops) else []}
        for number, chosen in enumerate(result.each("chosenCandidates"))
    ]


def _entry(candidate: Fields) -> dict[str, Any]:
    token = candidate.word("token")
    entry: dict[str, Any] = {
        "token": token,
        "logprob": candidate.raw.get("logProbability"),
        "bytes": list(token.encode("utf-8", "surrogatepass")),
    }
    number = candidate.number("tokenId")
    return entry if number is None else entry | {"token_id": number}


def write(entries: list[Any]) -> dict[str, Any]:
    """The `logprobsResult` for neutral entries."""
    known = _objects(entries)
    return {
        "chosenCandidates": [_candidate(entry) for entry in known],
        "topCandidates": [
            {"candidates": [_candidate(top) for top in _objects(entry.raw.get("top_logprobs"))]} for entry in known
        ],
    }


def _objects(entries: Any) -> list[Fields]:
    """The objects of a list; what else a server made of its entries has no place."""
    return [Fields(entry) for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []


def _candidate(entry: Fields) -> dict[str, Any]:
    candidate = {
        "token": entry.word("token"),
        "tokenId": entry.number("token_id"),
        "logProbability": entry.raw.get("logprob"),
    }
    return {key: value for key, value in candidate.items() if value is not None}
