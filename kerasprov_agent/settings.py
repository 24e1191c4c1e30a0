"""What a person can set: one table, from which variables, options, file keys and docs are made.

An option before the script wins over the variable, the variable over the file, the file over the
default. Files are read when the first thing is recorded, never while arming.
"""

from __future__ import annotations

import os

from kerasprov_agent import guard

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

TRUE = guard.TRUE
UNITS = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
BASE = "https://w3id.org/kerasprov/"
"""In PROV documents, what is ours and not of one execution lies under this IRI by default."""
FALSE = frozenset(("", "0", "false", "no", "off"))


def flag(text: str) -> bool:
    """Read a switch: 1, true, yes, on; or 0, false, no, off and nothing at all."""
    word = text.strip().lower()
    if word not in TRUE and word not in FALSE:
        raise ValueError(f"{text!r} is neither on nor off (1, true, yes, on; 0, false, no, off)")
    return word in TRUE


def path(text: str) -> str:
    """Read a path as seen from the directory where the program started."""
    if not text.strip():
        raise ValueError("the path is empty")
    if "\0" in text:
        raise ValueError(f"{text!r} is no path: it holds a NUL")
    if text.lstrip().startswith(("postgresql:", "postgres:")):
        raise ValueError("a PostgreSQL is named by KERASPROV_CENTRAL; this is a file's path")
    return os.path.normpath(os.path.join(_start_directory or "", os.path.expanduser(text)))


def path_or_off(text: str) -> str | None:
    """Read a path, or `off`."""
    return None if text.strip().lower() == "off" else path(text)


def words(text: str) -> str | None:
    """Read a text; an empty one is none."""
    return text.strip() or None


def tags(text: str) -> dict[str, str]:
    """Read `key=value` pairs, separated by commas."""
    pairs = [pair.strip() for pair in text.split(",") if pair.strip()]
    for pair in pairs:
        if not pair.partition("=")[0].strip() or "=" not in pair:
            raise ValueError(f"{pair!r} is not of the form key=value")
    return {k.strip(): v.strip() for k, _, v in (pair.partition("=") for pair in pairs)}


def size(text: str) -> int:
    """Read a number of bytes: 500000, 64k, 256M, 1.5G."""
    number, unit = text.strip().lower().removesuffix("b").removesuffix("i"), 1
    if number[-1:] in UNITS:
        number, unit = number[:-1], UNITS[number[-1]]
    return int(_positive(number, text, "a size such as 256M", unit))


def orcid(text: str) -> str | None:
    """Read an ORCID iD, also as an IRI; its last character checks the others."""
    given = text.strip().removeprefix("https://orcid.org/").upper()
    if not given:
        return None
    digits = given.replace("-", "")
    if len(digits) == 16 and given == "-".join(digits[i : i + 4] for i in range(0, 16, 4)):
        total = 0
        for digit in digits[:-1]:
            total = (total + int(digit)) * 2 if digit.isdigit() else -1000
        check = (12 - total % 11) % 11
        if total >= 0 and digits[-1] == ("X" if check == 10 else str(check)):
            return given
    raise ValueError(f"{text!r} is no ORCID iD such as 0000-0002-1825-0097")


def iri(text: str) -> str:
    """Read an IRI under which names can be put."""
    address = text.strip()
    if not address.startswith(("https://", "http://")) or address[-1] not in "/#" or " " in address:
        raise ValueError(f"{text!r} is no IRI such as https://example.org/ (it ends in / or #)")
    return address


def postgresql(text: str) -> str | None:
    """Read the address of a PostgreSQL; what is wrong with it is told without its password."""
    address = text.strip()
    if not address:
        return None
    if not address.startswith(("postgresql://", "postgres://")):
        raise ValueError("that is no address such as postgresql://ada@db.lab.org/team")
    return address


def seconds(text: str) -> float:
    """Read a number of seconds."""
    return _positive(text.strip().lower().removesuffix("s"), text, "a number of seconds")


def _positive(number: str, text: str, wanted: str, unit: int = 1) -> float:
    try:
        value = float(number) * unit
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise ValueError(f"{text!r} is not {wanted}")
    return value


class Setting:
    """One row of the table."""

    def __init__(
        self,
        name: str,
        read: Callable[[str], Any],
        default: str | None,
        form: str,
        meaning: str,
        in_file: bool = True,
    ) -> None:
        self.name, self.read, self.default = name, read, default
        self.form, self.meaning, self.in_file = form, meaning, in_file
        self.variable = f"KERASPROV_{name.upper()}"
        self.option = f"--{name.replace('_', '-')}"


SETTINGS = (
    Setting(
        "db",
        path,
        "kerasprov.db",
        "PATH",
        "the SQLite file; taken from the directory where the program started",
    ),
    Setting(
        "prov",
        path_or_off,
        None,
        "DIR|off",
        "where PROV documents are written; `kerasprov-prov` beside the database if not set",
    ),
    Setting(
        "base",
        iri,
        BASE,
        "IRI",
        "in PROV documents, what is not of one execution is named under this IRI",
    ),
    Setting("orcid", orcid, "", "ID", "the ORCID iD by which PROV documents name you"),
    Setting("name", words, "", "NAME", "name of the runs; the script's name if not set"),
    Setting("tags", tags, "", "K=V,…", "tags of the program; all its runs have them"),
    Setting("verbose", flag, "0", "", "say in one line on stderr what was recorded", True),
    Setting("files", flag, "on", "on|off", "record which files are read and written"),
    Setting(
        "redact_source",
        flag,
        "on",
        "on|off",
        "blank out secrets in the texts of scripts, modules, cells and differences to git",
    ),
    Setting(
        "hash_size",
        size,
        "1G",
        "SIZE",
        "larger files are known by the hash of parts of them, marked as such",
    ),
    Setting(
        "hash_seconds",
        seconds,
        "10",
        "SECONDS",
        "how long the end of a program waits at most for the hashes of files",
    ),
    Setting(
        "central",
        postgresql,
        "",
        "URL",
        "a PostgreSQL of your team, to which what is recorded is sent while it trains",
    ),
    Setting(
        "central_seconds",
        seconds,
        "5",
        "SECONDS",
        "how long the end of a program waits at most until all has been sent there",
    ),
    Setting("disabled", flag, "0", "", "do nothing at all", False),
    Setting("debug", flag, "0", "", "raise the agent's own errors", False),
)
FILES = (("pyproject.toml", "tool.kerasprov_agent"), ("setup.cfg", "kerasprov_agent"))

_start_directory: str | None = None
_is_gone = False
_options: dict[str, str] = {}


def disabled() -> bool:
    """Whether `KERASPROV_DISABLED` is set to a true word; an unknown word does not disable."""
    return os.environ.get("KERASPROV_DISABLED", "").strip().lower() in TRUE


def remember_start_directory() -> None:
    """Fix the directory from which relative paths are taken: a program may change its own."""
    global _start_directory, _is_gone
    if _start_directory is None:
        try:
            _start_directory = os.getcwd()
        except OSError:  # it has been deleted
            _start_directory, _is_gone = os.path.expanduser("~"), True


def start_directory() -> str:
    """The directory from which relative paths are taken: that in which the program started."""
    remember_start_directory()
    return _start_directory or ""


def working_directory() -> str | None:
    """The directory in which the program started; None where it had been deleted."""
    directory = start_directory()
    return None if _is_gone else directory


def set_option(name: str, text: str) -> None:
    """Take an option given before the script; raises ValueError where it can't be read."""
    setting = next(setting for setting in SETTINGS if setting.name == name)
    remember_start_directory()
    setting.read(text)
    _options[name] = text


def options() -> dict[str, str]:
    """The options that were given before the script."""
    return dict(_options)


def inherit(options: Mapping[str, str], start_directory: str) -> None:
    """Take over from the process that started this one."""
    global _start_directory
    _options.update(options)
    _start_directory = start_directory


class Values:
    """The settings in force: an attribute each, and `source` tells where each came from."""

    db: str
    prov: str | None
    base: str
    orcid: str | None
    name: str | None
    tags: dict[str, str]
    verbose: bool
    files: bool
    redact_source: bool
    hash_size: int
    hash_seconds: float
    central: str | None
    central_seconds: float
    disabled: bool
    debug: bool

    def __init__(self, strict: bool = False, environ: Mapping[str, str] | None = None) -> None:
        remember_start_directory()
        environ = os.environ if environ is None else environ
        values, where = _read_file(strict)
        self.source: dict[str, str] = {}
        for setting in SETTINGS:
            candidates = (
                (_options.get(setting.name), f"option {setting.option}"),
                (environ.get(setting.variable), setting.variable),
                (values.get(setting.name) if setting.in_file else None, where),
            )
            setattr(self, setting.name, self._choose(setting, candidates, strict))
        if "prov" not in self.source:
            self.prov = os.path.join(os.path.dirname(self.db), "kerasprov-prov")
            self.source["prov"] = "default"

    def _choose(
        self, setting: Setting, candidates: tuple[tuple[str | None, str], ...], strict: bool
    ) -> Any:
        for text, origin in candidates:
            if text is None:
                continue
            try:
                value = setting.read(text)
            except ValueError as exc:
                _complain(f"{origin}: {exc}", strict)
                continue
            self.source[setting.name] = origin
            return value
        if setting.default is None:
            return None
        self.source[setting.name] = "default"
        return setting.read(setting.default)


def _complain(message: str, strict: bool) -> None:
    """A bad value is an error in `kerasprov`, but must not stop a training."""
    if strict:
        from kerasprov_agent.errors import SettingError

        raise SettingError(message)
    guard.warn(f"{message}; it is left out")


def _read_file(strict: bool) -> tuple[dict[str, str], str]:
    """The nearest file that has our section, from the start directory upwards."""
    directory = start_directory()
    while True:
        for name, section in FILES:
            file = os.path.join(directory, name)
            if os.path.isfile(file):
                try:
                    section_values = _section(file, section)
                except (OSError, ValueError) as exc:
                    _complain(f"{file} can't be read: {exc}", strict)
                    section_values = None
                if section_values is not None:
                    unknown = set(section_values) - {s.name for s in SETTINGS if s.in_file}
                    if unknown:
                        _complain(f"{file}: unknown {', '.join(sorted(unknown))}", strict)
                    return section_values, file
        parent = os.path.dirname(directory)
        if parent == directory:
            return {}, ""
        directory = parent


def _section(file: str, section: str) -> dict[str, str] | None:
    """Our section of one file as text values, None if it has none; ValueError if malformed."""
    with open(file, encoding="utf-8") as stream:
        text = stream.read()
    if section.rpartition(".")[2] not in text:
        return None
    if file.endswith(".toml"):
        try:
            import tomllib
        except ImportError:  # Python 3.10
            import tomli as tomllib

        table: Any = tomllib.loads(text)
        for key in section.split("."):
            table = table.get(key)
            if table is None:
                return None
            if not isinstance(table, dict):
                raise ValueError(f"{key} is no table there")
        return {str(key): _as_text(value) for key, value in table.items()}
    import configparser

    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(text)
    except configparser.Error as exc:
        raise ValueError(str(exc).replace("\n", " ")) from exc
    return dict(parser[section]) if parser.has_section(section) else None


def _as_text(value: Any) -> str:
    if isinstance(value, dict):
        return ",".join(f"{key}={item}" for key, item in value.items())
    if isinstance(value, bool):
        return "1" if value else "0"
    return str(value)
