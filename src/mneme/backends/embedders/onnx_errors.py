"""What onnxruntime raises."""

from __future__ import annotations


def onnx_failures() -> tuple[type[Exception], ...]:
    """The errors of onnxruntime, which have no common root of their own; for an `except`.

    With those of Python that a missing file, a damaged one or a wrong shape brings.
    """
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    kinds = [kind for kind in vars(state).values() if isinstance(kind, type)]
    own = (kind for kind in kinds if issubclass(kind, Exception))
    return (OSError, RuntimeError, TypeError, ValueError, *own)
