"""Which tool call a fragment belongs to.

Chat Completions numbers the calls of a choice, but vendors leave the number out, give every call the number 0, repeat
ids and names, or send neither. A fragment belongs to a new call if it brings a new id, else it continues the call of
its number, or the last one.
"""

from ccproxy.core.signatures import Sealed
from ccproxy.wire.json import is_object


class Call:
    """One tool call of a choice."""

    __slots__ = ("arguments", "first", "id", "name", "part", "signature")

    def __init__(self, id: str, name: str) -> None:
        self.id = id
        self.name = name
        self.part: int | None = None
        """None until the name is known."""
        self.first = ""
        """The arguments that came with the first fragment."""
        self.arguments: list[str] = []
        """What waits for the name."""
        self.signature: Sealed | None = None
        """The signature that came with the first fragment."""


class Calls:
    """The calls of one choice, in order of appearance."""

    def __init__(self) -> None:
        self._by_index: dict[int, Call] = {}
        self._by_id: dict[str, Call] = {}
        self._last: Call | None = None
        self.all: list[Call] = []

    def resolve(self, index: int | None, id: str, name: str, arguments: str) -> Call:
        """The call of a fragment; a new one is entered."""
        if index is not None:
            call = self._by_index.get(index)
            if call is not None and id and call.id and id != call.id:
                call = None
        elif id:
            call = self._by_id.get(id)
        else:
            call = self._last
        if call is None or (not id and self._begins_another(call, name, arguments)):
            call = Call(id, name)
            call.first = arguments
            self.all.append(call)
        if index is not None:
            self._by_index[index] = call
        if id:
            call.id = call.id or id
            self._by_id[id] = call
        call.name = call.name or name
        self._last = call
        return call

    @staticmethod
    def _begins_another(call: Call, name: str, arguments: str) -> bool:
        """Without an id: another name, or a second whole call, is another call. A repeated name alone is not."""
        if not name or not call.name:
            return False
        return name != call.name or (is_object(arguments) and is_object(call.first))
