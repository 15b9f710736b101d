"""What a request says, in a form in which requests of different dialects are compared.

An atom is one thing that a request says: a setting, a tool, a part of a turn. Atoms that a translation has declared lost
are left out of both sides; what it lost of an atom is not compared.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ccproxy.core.losses import Loss
from ccproxy.core.model import Call, Foreign, Media, Request, Result, Text, Thought, Tool, Turn
from ccproxy.core.request import DEFAULTS, ToolNames

SETTINGS = (
    *("max_output", "temperature", "top_p", "top_k", "stop", "seed", "frequency_penalty", "presence_penalty"),
    *(
        "logit_bias",
        "logprobs",
        "top_logprobs",
        "verbosity",
        "parallel",
        "user",
        "metadata",
        "tier",
        "cache_key",
        "store",
    ),
)

SILENT = {**DEFAULTS, "temperature": 1, "top_p": 1, "tier": "auto"}
"""Values that say what is so without them."""


@dataclass(frozen=True)
class Atom:
    path: str
    kind: str
    essence: Any
    """What must survive if the atom does."""
    attributes: Mapping[str, Any]
    """What may be lost by itself."""


def atoms(request: Request) -> tuple[list[Atom], list[Atom]]:
    """(settings and tools, content in order)."""
    names = ToolNames(request)
    rest: list[Atom] = []
    for name in SETTINGS:
        value = getattr(request, name)
        if value not in (None, [], {}, SILENT.get(name)):
            rest.append(Atom(request.paths[name], name, _plain(value), {}))
    if request.choices not in (None, 1):
        rest.append(Atom(request.paths["choices"], "choices", request.choices, {}))
    thinking = request.thinking
    if thinking is not None:
        for name in ("mode", "effort", "budget", "show"):
            value = getattr(thinking, name)
            if value is not None and (name, value) not in (("mode", "on"), ("show", "none")):
                rest.append(Atom(thinking.path, f"thinking.{name}", value, {}))
    if request.format is not None and request.format.kind != "text":
        attributes = {
            "name": request.format.name,
            "strict": request.format.strict,
            "description": request.format.description,
        }
        rest.append(Atom(request.format.path, "format", [request.format.kind, request.format.schema], attributes))
    choice = request.tool_choice
    if choice is not None and (choice.mode != "auto" or choice.names):
        rest.append(
            Atom(choice.path, "tool_choice", [choice.mode, sorted(names.flat(*name) for name in choice.names)], {})
        )
    rest += [_tool(tool, names) for tool in request.tools]
    content = [atom for turn in request.turns for atom in _turn(turn, names)]
    return rest, content


def _tool(tool: Tool, names: ToolNames) -> Atom:
    if tool.kind == "hosted":
        return Atom(tool.path, "hosted", tool.hosted or tool.name, {})
    attributes = {
        "schema": tool.schema or {},
        "strict": bool(tool.strict),
        "description": tool.description,
        "kind": tool.kind,
        "grammar": _plain(tool.grammar),
    }
    return Atom(tool.path, "tool", names.flat(tool.namespace, tool.name), attributes)


def _turn(turn: Turn, names: ToolNames) -> Iterator[Atom]:
    role = "system" if turn.role == "developer" else turn.role
    for part in turn.parts:
        if isinstance(part, Text):
            if part.text:
                yield Atom(
                    part.path, "text", part.text, {"role": role, "cache": _plain(part.cache), "refusal": part.refusal}
                )
        elif isinstance(part, Media):
            yield _media(part, role)
        elif isinstance(part, Thought):
            value = part.signature.value if part.signature else ""
            yield Atom(part.path, "thought", [part.text], {"signature": value, "channel": part.channel})
        elif isinstance(part, Call):
            yield Atom(
                part.path,
                "call",
                [names.flat(part.namespace, part.name), _arguments(part)],
                {"id": part.id, "custom": part.custom, "cache": _plain(part.cache)},
            )
        elif isinstance(part, Result):
            inner = [one.words or one if isinstance(one, Foreign) else one for one in part.parts]
            text = "".join(one.text for one in inner if isinstance(one, Text))
            yield Atom(
                part.path,
                "result",
                _json(text),
                {"id": part.id, "is_error": bool(part.is_error), "cache": _plain(part.cache)},
            )
            for one in inner:
                if isinstance(one, Media):
                    yield _media(one, role)
                elif isinstance(one, Foreign):
                    yield _foreign(one, role)
        elif isinstance(part, Foreign):
            yield _foreign(part, role)


def _foreign(part: Foreign, role: str) -> Atom:
    """A part that is told as text elsewhere is no more than that here."""
    if part.words is None:
        return Atom(part.path, "foreign", part.kind, {})
    attributes = {"role": role, "cache": _plain(part.words.cache), "refusal": False}
    return Atom(part.path, "text", part.words.text, attributes)


def _media(part: Media, role: str) -> Atom:
    content = part.data or part.url or part.file_id or part.text
    attributes = {"name": part.name, "detail": part.detail, "cache": _plain(part.cache), "media_type": part.media_type}
    return Atom(part.path, part.kind, [role, content], attributes)


def _arguments(call: Call) -> Any:
    if call.custom:
        return {"input": call.arguments}
    return _json(call.arguments or "{}")


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, str | int | float | bool | list | dict):
        return value
    return {name: getattr(value, name) for name in value.__struct_fields__}


def differences(before: Request, after: Request, losses: Iterable[Loss]) -> list[str]:
    """What the second says otherwise than the first, less the losses, whose paths are the first's."""
    declared = list(losses)
    found: list[str] = []
    (rest, content), (rest_after, content_after) = atoms(before), atoms(after)
    for atom in rest:
        twins = [
            other
            for other in rest_after
            if other.kind == atom.kind and (atom.kind != "tool" or other.essence == atom.essence)
        ]
        told = _told(atom, declared)
        if any(_same(atom, other, told) for other in twins):
            continue
        if not told:
            found.append(f"{atom.path}: {atom.kind} {atom.essence!r} {dict(atom.attributes)!r} became {twins!r}")
    kinds = {atom.kind for atom in rest}
    for other in rest_after:
        made_up = [loss for loss in declared if loss.kind in ("default", "repair")]
        if other.kind not in kinds and not made_up and not other.kind.startswith("thinking"):
            found.append(f"{other.path}: {other.kind} {other.essence!r} was not there before")
    expected = [
        atom for atom in content if not any(loss.kind == "part" and _under(atom.path, loss.path) for loss in declared)
    ]
    expected = _in_words(expected, declared)
    if any(loss.kind == "boundary" for loss in declared):
        expected, content_after = _one_thought(expected), _one_thought(content_after)
    if any(loss.kind == "order" for loss in declared):
        expected, content_after = sorted(expected, key=_key), sorted(content_after, key=_key)
    for atom, other in zip(expected, content_after, strict=False):
        if not _same(atom, other, _told(atom, declared)):
            found.append(f"{atom.path}: {atom.kind} {_short(atom)} became {other.kind} {_short(other)}")
            break
    else:
        found += [f"{atom.path}: {atom.kind} {_short(atom)} is gone" for atom in expected[len(content_after) :]]
        found += [f"{atom.path}: {atom.kind} {_short(atom)} is new" for atom in content_after[len(expected) :]]
    return found


def _in_words(content: list[Atom], losses: list[Loss]) -> list[Atom]:
    """Documents that are declared to be told as text, as that: a text of their own, or the end of the result's."""
    told = {loss.path for loss in losses if loss.detail.startswith("document: ")}
    out: list[Atom] = []
    for atom in content:
        if atom.kind != "document" or atom.path not in told:
            out.append(atom)
            continue
        role, said = atom.essence
        said = "\n".join(filter(None, (atom.attributes["name"], said)))
        if out and out[-1].kind == "result" and _under(atom.path, out[-1].path):
            before = out.pop()
            out.append(replace(before, essence=_json(f"{before.essence}{said}")))
        else:
            attributes = {"role": role, "cache": atom.attributes["cache"], "refusal": False}
            out.append(Atom(atom.path, "text", said, attributes))
    return out


def _one_thought(content: list[Atom]) -> list[Atom]:
    """Neighbouring thoughts as one, with their white space aside; other texts likewise."""
    out: list[Atom] = []
    for atom in content:
        if atom.kind not in ("thought", "result"):
            out.append(atom)
            continue
        told = atom.essence[0] if atom.kind == "thought" else atom.essence
        said = "".join((told if isinstance(told, str) else json.dumps(told)).split())
        if out and out[-1].kind == atom.kind == "thought":
            said = out.pop().essence + said
        out.append(Atom(atom.path, atom.kind, said, {}))
    return out


def _told(atom: Atom, losses: list[Loss]) -> list[Loss]:
    """The losses of this atom: at its place, or at a field of it."""
    return [loss for loss in losses if loss.path and (_under(loss.path, atom.path) or _under(atom.path, loss.path))]


def _under(path: str, above: str) -> bool:
    return path == above or (path.startswith(above) and path[len(above) : len(above) + 1] in (".", "["))


def _same(atom: Atom, other: Atom, told: list[Loss]) -> bool:
    if atom.kind != other.kind:
        return False
    if atom.essence != other.essence:
        kinds = {loss.kind for loss in told}
        if atom.kind in ("text", "call"):
            return bool(kinds & {"repair", "custom_tool"})
        return bool(kinds & {"field", "repair", "refusal", "custom_tool"})
    differing = {name for name in atom.attributes if atom.attributes[name] != other.attributes.get(name)}
    differing -= {name for name in ("id", "media_type") if not atom.attributes.get(name)}  # made up, or told by the URL
    for loss in told:
        differing -= {loss.detail.partition(":")[0], loss.path.rpartition(".")[2]}
        if loss.kind == "custom_tool":
            differing -= {"custom", "kind", "schema", "description", "strict"}
        if loss.kind in ("refusal", "signature"):
            differing.discard(loss.kind)
        if loss.kind == "repair":
            differing -= {"id", "signature"}
    return not differing


def _key(atom: Atom) -> str:
    return json.dumps([atom.kind, atom.essence], sort_keys=True, default=str)


def _short(atom: Atom) -> str:
    text = f"{atom.essence!r} {dict(atom.attributes)!r}"
    return text if len(text) < 300 else text[:300] + "…"
