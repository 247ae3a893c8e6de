"""Errors for an agent that did not start over SSH, each with its remedy.

OpenSSH's messages are in English and have not changed in a decade; its exit code is 255. Any other exit code is that of
the login shell or of the agent.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import shlex
from collections.abc import Collection
from pathlib import Path
from typing import Protocol

from ffnn.exceptions import HostError, HostKeyError

__all__ = ["explain"]

_SSH = 255  # the exit code of the SSH client's own failures


class _Connection(Protocol):
    name: str
    python: str

    def look(self) -> str: ...
    def by_hand(self, *command: str, options: Collection[str] = (), program: str = "ssh") -> str: ...


# Messages of the client and their meanings. Those of a jump host's client come first; the last ones can also follow
# from others.
_REASONS = [
    (
        r"Could not resolve hostname .*",
        "its name, or its jump host's, is not known here",
        "Check the spelling, or give it a HostName in the SSH configuration",
    ),
    (
        r"Bad configuration option.*|.*terminating, \d+ bad configuration options.*|Bad owner or permissions on .*"
        r"|Can't open user config file .*|.*: [Mm]issing argument.*",
        "the SSH client does not accept its configuration",
        "Correct that file",
    ),
    (
        r"connect to host .* Connection refused|.*open failed: connect failed: Connection refused",
        "nothing listens at its port",
        "Check the port, and that sshd runs there (systemctl status ssh)",
    ),
    (
        r"connect to host .* (Connection|Operation) timed out|Connection timed out.*|.*banner exchange.*"
        r"|.*open failed: connect failed: Connection timed out|Timeout, server .* not responding.*",
        "it does not answer",
        "Check that it is up, its address and port, and what stands between (a firewall, a VPN that is off)",
    ),
    (
        r"connect to host .* (No route to host|Network is unreachable|Host is down)"
        r"|.*open failed: connect failed: (No route to host|Network is unreachable)",
        "there is no route to it from here",
        "Check its address, your network, and whether a VPN or a jump host (ProxyJump) is needed",
    ),
    (
        r".*Too many authentication failures.*",
        "the SSH agent offered more keys than the host lets one try",
        "Name the right one: IdentityFile and `IdentitiesOnly yes` in the SSH configuration",
    ),
    (
        r"Unable to negotiate with .*",
        "it and the SSH client have no algorithm in common",
        "Update the older of the two; until then, allow what the message offers in the SSH configuration",
    ),
    (
        r".*administratively prohibited.*",
        "the jump host does not let anyone through to it",
        "Ask for AllowTcpForwarding on the jump host, or take another one",
    ),
    (
        r"kex_exchange_identification.*|ssh_exchange_identification.*|Connection (closed|reset) by .*"
        r"|Connection to .* closed.*|Received disconnect from .*",
        "the other end hung up",
        "Check that the port is sshd's, that the account may log in (AllowUsers), and what its log says "
        "(journalctl -u ssh); many logins at a time meet MaxStartups",
    ),
]


def explain(host: _Connection, exit_code: int | None, stderr: str) -> HostError:
    """Turn the output of the SSH client, the login shell or the agent into an error with its remedy.

    Parameters
    ----------
    host : SSHHost
        The host, to which another connection may be made for details.
    exit_code : int or None
        The exit code of the SSH client; None if it still runs.
    stderr : str
        The last lines of the output.
    """
    if exit_code == _SSH and not stderr.strip():
        stderr = host.look()
    stderr = "\n".join(line.rstrip() for line in stderr.splitlines())
    if exit_code in (_SSH, None):
        for tell in (_host_key, _login):
            error = tell(host, stderr)
            if error is not None:
                return error
        for pattern, what, remedy in _REASONS:
            if match := re.search(rf"^(?:ssh: |.*: line \d+: )?(?:{pattern})$", stderr, re.MULTILINE):
                return _error(host, f"{what} ({match[0]})", f"{remedy}; then try `{host.by_hand('true')}`")
    return _on_the_host(host, exit_code, stderr)


def _host_key(host: _Connection, stderr: str) -> HostError | None:
    """Explain an unknown or changed host key."""
    if "Host key verification failed" not in stderr:
        return None
    details = host.look()
    changed = stderr if "IDENTIFICATION HAS CHANGED" in stderr else details
    if "IDENTIFICATION HAS CHANGED" in changed:
        return _changed_key(host, changed)
    if "REVOKED HOST KEY" in stderr:
        return _key_error(host, "its SSH key has been revoked, so it was refused", "Ask its administrator", stderr)
    keys = re.findall(r"Server host key: (\S+ \S+)", details)
    addresses = re.findall(r"Authenticating to (\S+) as", details)
    whose = re.search(r"No \S+ host key is known for (\S+)", details)
    address = whose[1] if whose else addresses[-1] if addresses else "it"
    what = f"the SSH key of {address} is not known here, so it was refused"
    if keys:
        what += f". It is {keys[-1]}"
    kind = "ed25519" if not keys or "ed25519" in keys[-1] else "ecdsa" if "ecdsa" in keys[-1] else "rsa"
    again = host.by_hand("true", options=["-o", "StrictHostKeyChecking=ask"])
    return _key_error(
        host,
        what,
        "Compare that with what its administrator says, or with what it says itself, at its own console: "
        f"`ssh-keygen -l -f /etc/ssh/ssh_host_{kind}_key.pub`. If they are equal, accept the key once: `{again}`",
    )


def _changed_key(host: _Connection, text: str) -> HostError:
    """Return the fingerprints of the received and the known key."""
    new = re.search(r"fingerprint for the (\S+) key sent by the remote host is\s+(\S+?)\.?$", text, re.MULTILINE)
    known = re.search(r"Offending (\S+) key in (.+):(\d+)$", text, re.MULTILINE)
    whose = re.search(r"[Hh]ost key for (\S+) has changed", text)
    forget = re.search(r"^\s*(ssh-keygen .*-R .*)$", text, re.MULTILINE)
    what = f"the SSH key of {whose[1] if whose else 'it'} is not the one that is known, so it was refused"
    if new:
        what += f". It came with {new[1]} {new[2]}"
    if known:
        what += f"; known is {known[1]} {_fingerprint(known[2], int(known[3])) or ''} ({known[2]}, line {known[3]})"
    again = host.by_hand("true", options=["-o", "StrictHostKeyChecking=ask"])
    return _key_error(
        host,
        what,
        "Someone may be listening in. Ask its administrator whether the key was changed, and what the new one is. "
        f"Only if that is what came, forget the old one: `{forget[1] if forget else 'ssh-keygen -R HOST'}`, and "
        f"accept the new one: `{again}`",
    )


def _fingerprint(file: str, line: int) -> str | None:
    """Compute the fingerprint of a key in a file of known keys."""
    try:
        words = Path(file).read_text(errors="replace").splitlines()[line - 1].split()
        key = base64.b64decode(words[3 if words[0].startswith("@") else 2])
    except (OSError, IndexError, binascii.Error):
        return None
    return "SHA256:" + base64.b64encode(hashlib.sha256(key).digest()).decode().rstrip("=")


def _login(host: _Connection, stderr: str) -> HostError | None:
    """Explain a login that was refused."""
    refused = re.search(r"^(\S+): Permission denied \(([\w,@.-]+)\)\.?$", stderr, re.MULTILINE)
    if refused is None:
        return None
    methods = refused[2].split(",")
    details = host.look()
    tried = "Permission denied (" in details
    details = details.rpartition("Authenticated to ")[2]  # the part before is the jump host's
    offered = list(dict.fromkeys(re.findall(r"Offering public key: (.+?)(?: explicit)?$", details, re.MULTILINE)))
    accepted = re.findall(r"Server accepts key: (\S+)", details)
    exposed = re.search(r"Permissions \S+ for '(.+)' are too open", details)
    if exposed:
        remedy = f"The key {exposed[1]} can be read by others, so it is not used: `chmod 600 {shlex.quote(exposed[1])}`"
    elif tried and accepted:
        remedy = (
            f"It would take the key {accepted[-1]}, which could not be used without its passphrase: give that to "
            f"the SSH agent, `ssh-add {shlex.quote(accepted[-1])}`"
        )
    elif not {"publickey", "hostbased", "gssapi-with-mic"} & set(methods):
        share = host.by_hand(options=["-M", "-N", "-f", "-S", "~/.ssh/%C"])
        remedy = (
            f"It takes no keys, only {' or '.join(methods)}, and nobody can be asked here. Log in once and share that "
            f"connection: `{share}`, with `ControlPath ~/.ssh/%C` for the host in the SSH configuration"
        )
    else:
        keys = "no key: there is no key file, and no SSH agent that has one" if not offered else ", ".join(offered)
        remedy = (
            (f"Offered was {keys}. " if tried else "")
            + f"Check the user name; let your key in: `{host.by_hand(program='ssh-copy-id')}`; if a passphrase "
            "protects it, `ssh-add` it (passwords are not asked for)"
        )
    return _error(
        host,
        f"it does not let {refused[1]} in ({refused[0].rstrip('.')})",
        f"{remedy}; then try `{host.by_hand('true')}`",
    )


def _on_the_host(host: _Connection, exit_code: int | None, stderr: str) -> HostError:
    """Explain a failure after the login."""
    python = host.python
    look = host.by_hand("command -v python3; python3 --version")
    if exit_code is None:
        return _error(
            host,
            "it was reached, but no agent answered",
            f"Try `{host.by_hand(python, '--version')}`: if that hangs, a login script (.bashrc, .profile) waits for "
            "something, or the host is overloaded. A login script must not read its standard input",
            stderr,
        )
    too_old = re.search(r"^ffnn-agent: this Python is too old: (\S+)", stderr, re.MULTILINE)
    if too_old or "Unknown option: -I" in stderr:
        version = too_old[1] if too_old else "2"
        return _error(
            host,
            f"{python} there is Python {version}, which is too old",
            f"Name the Python that has ffnn installed: python='~/ffnn/bin/python', for instance (`{look}` shows what "
            "there is)",
        )
    if exit_code == 127 or re.search(r"Command not found\.$", stderr, re.MULTILINE):
        return _error(
            host,
            f"there is no {python} ({_last(stderr)})",
            f"Name the Python that has ffnn installed: python='~/ffnn/bin/python', for instance (`{look}` shows what "
            "there is; a login without a terminal may have a shorter PATH than yours)",
        )
    if exit_code == 126 or re.search(rf"{re.escape(python.lstrip('~'))}: Permission denied\.$", stderr, re.MULTILINE):
        return _error(
            host,
            f"{python} cannot be run there ({_last(stderr)})",
            f"Let the account run it (`{host.by_hand('ls', '-lL', python)}`), or name another Python by python=",
        )
    if re.search(r"No usable temporary directory|No space left on device|Read-only file system|quota", stderr):
        return _error(
            host,
            f"its folder for temporary files cannot be used ({_last(stderr)})",
            "Make room there, or set TMPDIR for the account to a folder that has some",
        )
    return _error(
        host,
        f"the login succeeded, but ended with exit code {exit_code} before an agent answered",
        f"Try `{host.by_hand(python, '--version')}`: the account may be limited to certain commands (ForceCommand, "
        "`command=` in authorized_keys, nologin), or a login script ends it, or reads its standard input",
        stderr,
    )


def _last(stderr: str) -> str:
    lines = [line.strip() for line in stderr.splitlines() if re.search("[a-z]{3}", line)]
    # shells print the reason before the line that they could not run
    told = [line for line in lines if "bytes.fromhex" not in line]
    return told[-1] if told else "it gave no reason"


def _error(host: _Connection, what: str, remedy: str, stderr: str = "") -> HostError:
    return HostError(_message(host, what, remedy, stderr), host.name)


def _key_error(host: _Connection, what: str, remedy: str, stderr: str = "") -> HostKeyError:
    return HostKeyError(_message(host, what, remedy, stderr), host.name)


def _message(host: _Connection, what: str, remedy: str, stderr: str) -> str:
    said = f"\nIts last words:\n{stderr}" if stderr.strip() else ""
    return f"host {host.name}: {what}. {remedy}.{said}"
