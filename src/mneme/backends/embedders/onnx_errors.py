"""What onnxruntime raises."""

from __future__ import annotations


def onnx_failures() -> tuple[type[Exception], ...]:
    """The errors of onnxruntime, which have no common root of their own; for an `except`."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    kinds = [kind for kind in vars(state).values() if isinstance(kind, type)]
    own = (kind for kind in kinds if issubclass(kind, Exception))
    return (RuntimeError, TypeError, ValueError, *own)
