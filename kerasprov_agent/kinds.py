"""What kind of thing an object of the program's is, told by its type and not by itself.

`isinstance` also asks the object for its `__class__`. A proxy outside of its context raises then,
and others say what they are not.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from builtins import isinstance as is_a
else:

    def is_a(value, kinds):
        """As `isinstance`. Of proxies only those of wrapt are asked, which TensorFlow uses."""
        cls = type(value)
        if issubclass(cls, kinds):
            return True
        return _is_of_wrapt(cls) and isinstance(value, kinds)


def _is_of_wrapt(cls: type) -> bool:
    if cls is str or cls is int or cls is float or cls is dict or cls is list or cls is tuple:
        return False  # most of what is asked about
    return any("ObjectProxy" in base.__name__ for base in cls.__mro__)


__all__ = ["is_a"]
