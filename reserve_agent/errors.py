"""The exceptions of the project; each has the exit code of a command that it ends."""


class CrunchbedError(Exception):
    """Root of everything the project raises on purpose; its text is one line for the user."""

    exit_code = 3


class BadInput(CrunchbedError):
    """Wrong input: says file, line, key and what was expected."""

    exit_code = 2


class MissingRequirement(CrunchbedError):
    """This machine cannot do what was asked; says what is missing and what brings it."""

    exit_code = 4


class RunInvalid(CrunchbedError):
    """The run started but its figures say nothing: the testbed or the fault was off target."""


class HookError(CrunchbedError):
    """The kernel refused an eBPF program, map or attachment."""
