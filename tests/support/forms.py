"""Run a module's tests on both forms of the kernels: compiled, and as Python runs the source.

A ``conftest.py`` imports ``form``, and every test beside it runs twice.
"""

from collections.abc import Iterator

import pytest

from flows.features import feature_kernel
from flows.targets import label_kernel

COMPILED_ONLY = pytest.mark.parametrize("form", ["compiled"], indirect=True)
"""For tests of millions of ticks, which the uncompiled form would take hours for."""


@pytest.fixture(scope="module", params=["compiled", "uncompiled"], autouse=True)
def form(request: pytest.FixtureRequest) -> Iterator[str]:
    """Have every state that is made take this form."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "uncompiled":
            for kernel in (feature_kernel(), label_kernel()):
                patch.setattr(kernel, "compile", lambda kernel=kernel: kernel.uncompiled)
        yield request.param
