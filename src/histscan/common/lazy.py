"""Properties that are computed once for each object, without a lock."""

from __future__ import annotations

import sys

__all__ = ["cached_property"]

if sys.version_info >= (3, 12):
    from functools import cached_property
else:
    from collections.abc import Callable
    from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

    if TYPE_CHECKING:
        from typing_extensions import Self

    _Value = TypeVar("_Value")

    class cached_property(Generic[_Value]):  # noqa: N801 - named as in functools
        """``functools.cached_property`` of Python 3.12, which has no lock.

        In earlier releases, it holds one lock for all objects of a class while it computes a value: objects wait for
        each other, and in a process that is forked meanwhile, the lock is never released. Without the lock, threads
        that read the property at the same time may each compute the value.

        Args:
            function: Computes the value.
        """

        def __init__(self, function: Callable[[Any], _Value]) -> None:
            self._function = function
            self._name = function.__name__
            self.__doc__ = function.__doc__

        def __set_name__(self, owner: type[Any], name: str) -> None:
            self._name = name

        @overload
        def __get__(self, instance: None, owner: type[Any] | None = None) -> Self: ...

        @overload
        def __get__(self, instance: object, owner: type[Any] | None = None) -> _Value: ...

        def __get__(self, instance: object | None, owner: type[Any] | None = None) -> Self | _Value:
            if instance is None:
                return self
            values = instance.__dict__
            if self._name not in values:
                values[self._name] = self._function(instance)
            value: _Value = values[self._name]
            return value
