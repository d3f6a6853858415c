"""A program in the foreground of a terminal, as a child of this process."""

from __future__ import annotations

import contextlib
import os
import signal
import termios
from collections.abc import Callable
from typing import Any, Final

from nodes.enter import die_with_parent

_PASSED_ON: Final = (signal.SIGTERM, signal.SIGHUP)
_WAITED_FOR: Final = (signal.SIGCHLD, signal.SIGINT, signal.SIGQUIT, *_PASSED_ON)
# With SIGTTOU blocked, a process may set a terminal that another one has the hold on.
_BLOCKED: Final = (*_WAITED_FOR, signal.SIGTTOU)
_LOOK_SECONDS: Final = 1.0  # SIGCHLD may go to another thread, if there is one

_Settings = list[Any] | None


def run(program: Callable[[], None]) -> int:
    """Call ``program`` in a child process, and return when the child has ended.

    ``program`` is to become another program. What it raises is raised in the child, by this
    function. The child ends with this process. Ctrl-C and the like are for the child alone;
    SIGTERM and SIGHUP are passed on to the child, and while it is stopped this process is too.

    Returns:
        The child's exit code; negative: the signal that killed it.
    """
    parent = os.getpid()
    settings = _terminal_settings()
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, _BLOCKED)
    child = os.fork()
    if child == 0:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        die_with_parent(parent)
        program()
        os._exit(os.EX_OK)
    try:
        code = _await_end(child)
        if code < 0:
            _take_terminal_back(settings)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    return code


def _await_end(child: int) -> int:
    while True:
        heard = signal.sigtimedwait(_WAITED_FOR, _LOOK_SECONDS)
        if heard is not None and heard.si_signo in _PASSED_ON:
            os.kill(child, heard.si_signo)  # it is not reaped yet, so the pid is still the child's
        pid, status = os.waitpid(child, os.WNOHANG | os.WUNTRACED)
        if pid and os.WIFSTOPPED(status):
            os.kill(os.getpid(), signal.SIGSTOP)  # the shell that started this process goes on
            os.kill(child, signal.SIGCONT)
        elif pid:
            return os.waitstatus_to_exitcode(status)


def _terminal_settings() -> _Settings:
    """Return how the terminal at stdin is set; None where stdin is none."""
    with contextlib.suppress(termios.error, OSError):
        return termios.tcgetattr(0)
    return None


def _take_terminal_back(settings: _Settings) -> None:
    """Undo what a program that was killed has left: its settings, and its hold on the terminal."""
    if settings is not None:
        with contextlib.suppress(termios.error, OSError):
            os.tcsetpgrp(0, os.getpgrp())
        with contextlib.suppress(termios.error, OSError):
            termios.tcsetattr(0, termios.TCSADRAIN, settings)
