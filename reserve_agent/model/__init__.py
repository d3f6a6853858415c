"""The rules of the receive reserve as plain Python: the reference that people read.

``node.NodeModel`` is one node; read it first, then ``policies``, ``pool``, ``transmit`` and
``packet``; for a kernel's own memory then ``profiles``, ``buffers``, ``card_buffers`` and
``pieces``. Nothing here does I/O or has a clock: time comes in, verdicts and page counts go out.
The same rules stand in ``reserve_agent/hooks/*.bpf.h``, as the code that runs on packets, and
``tests/system/test_differential.py`` holds the two together by every profile.
``tests/unit/test_model_levels.py`` holds ``linux-6.1`` to what that kernel did.
"""
