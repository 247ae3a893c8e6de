"""SSH addresses as users write them, checked, and the command for a host's login shell."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ffnn.parallel.hosts.provisioner import AGENT

__all__ = ["Address", "check_python", "login_command", "parse_address"]

_OLDEST = (3, 9)  # the agent's Python
_NOT_IN_NAMES = re.compile(r"""[\s\x00-\x1f'"`$\\;&<>|(){}\[\]/#?*!,=]""")
_PLAIN = re.compile(r"[\w./+:@%,-]+", re.ASCII)


@dataclass(frozen=True)
class Address:
    """The address of a host as the user wrote it; the SSH configuration adds the rest."""

    host: str
    user: str | None = None
    port: int | None = None

    def arguments(self) -> list[str]:
        """Return the arguments for the SSH client, without the host."""
        port = [] if self.port is None else ["-p", str(self.port)]
        return port if self.user is None else [*port, "-l", self.user]


def parse_address(text: object) -> Address:
    """Parse ``alpha``, ``user@beta:2222``, ``ssh://user@beta:2222`` and ``user@[::1]:2222``.

    Raises
    ------
    TypeError, ValueError
        If it is none of these.
    """
    expected = "a name of the SSH configuration, or an address like 'user@host:port' or 'user@[::1]:port'"
    if not isinstance(text, str):
        raise TypeError(f"hosts must contain strings; got {text!r} of type {type(text).__name__}. Pass {expected}.")

    def wrong(what: str) -> ValueError:
        return ValueError(f"hosts contains {text!r}, {what}. Pass {expected}.")

    rest = text.removeprefix("ssh://").removesuffix("/") if text.startswith("ssh://") else text
    left, at, rest = rest.rpartition("@")
    user = left if at else None
    match = re.fullmatch(r"\[([0-9A-Fa-f:.]+(?:%\w+)?)\](?::(.*))?", rest, re.DOTALL)
    if match is None and rest.count(":") > 1:
        raise wrong("which has more than one colon; an IPv6 address stands in brackets")
    host, port = match.groups() if match else (rest.partition(":")[0], rest.partition(":")[2] if ":" in rest else None)
    for what, value in (("host name", host), ("user name", user)):
        if value is None:
            continue
        if not value:
            raise wrong(f"whose {what} is empty")
        if value.startswith("-"):
            raise wrong(f"whose {what} begins with '-', as an option of ssh would")
        if found := _NOT_IN_NAMES.search(value):
            raise wrong(f"whose {what} contains {found[0]!r}")
    if port is not None and not (re.fullmatch("[0-9]{1,5}", port) and 0 < int(port) < 1 << 16):
        raise wrong(f"whose port is {port!r}, not a number from 1 to 65535")
    return Address(host, user, None if port is None else int(port))


def check_python(name: str, python: object) -> str:
    """Check the path of a Python on a host, which all login shells must interpret in the same way.

    Raises
    ------
    TypeError, ValueError
        If it is not such a path.
    """
    remedy = f"Pass a path, for instance {name}='~/ffnn/bin/python'."
    if not isinstance(python, str):
        raise TypeError(f"{name} must be a string; got {python!r} of type {type(python).__name__}. {remedy}")
    if not python or python.startswith("-"):
        raise ValueError(f"{name} must be the name or the path of a Python; got {python!r}. {remedy}")
    if found := re.search(r"""['"`\\!\x00-\x1f\x7f]""", python):
        raise ValueError(f"{name} must not contain {found[0]!r}; got {python!r}. {remedy}")
    return python


def login_command(python: str) -> str:
    """Return the command that turns a host's Python into an agent, for any login shell: POSIX's, fish or csh.

    A leading ``~/`` or ``~user/`` is the shell's to expand; the rest is quoted.
    """
    home, slash, rest = python.partition("/")
    if not (slash and re.fullmatch(r"~[\w.-]*", home, re.ASCII)):
        home, slash, rest = "", "", python
    path = home + slash + (rest if _PLAIN.fullmatch(rest) else f"'{rest}'")
    *flags, code = AGENT
    too_old = "ffnn-agent: this Python is too old: "
    # one line, and no quote inside: csh takes no line break in quotes
    program = (
        f'import sys;sys.version_info<{_OLDEST} and sys.exit("{too_old}"+sys.version.split()[0]);'
        f'exec(bytes.fromhex("{code.encode().hex()}"))'
    )
    return f"exec {path} {' '.join(flags)} '{program}'"
