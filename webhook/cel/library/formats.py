"""Kubernetes' named formats, ``format.dns1123Label()`` and the rest, with the texts of its validation."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from webhook.cel.library.function import Library, no_overload, reading_cost
from webhook.cel.library.urls import uri_error
from webhook.cel.opaque import NamedFormat
from webhook.cel.values import NONE, Optional

LIBRARY = Library()
_LABEL: Final = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN: Final = rf"{_LABEL}(\.{_LABEL})*"
_LABEL_1035: Final = "[a-z]([-a-z0-9]*[a-z0-9])?"
_NAME: Final = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_VALUE: Final = f"({_NAME})?"
_BASE64: Final = re.compile(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{4})")
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(?:-?[0-9a-fA-F]{4}){3}-?[0-9a-fA-F]{12}")
_DATE: Final = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})")
_CLOCK: Final = re.compile(r"([0-9]{2}):([0-9]{2}):([0-9]{2})(.[0-9]+)?(z|[+-][0-9]{2}:[0-9]{2})")
_MONTH_DAYS: Final = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_LABEL_CHARS: Final = re.compile(r"[a-z0-9-]*")
_NAME_CHARS: Final = re.compile(r"[A-Za-z0-9_.-]*")

# Kubernetes' own words: what its validation says is part of what a policy may show to people.
_LABEL_SAYS: Final = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start "
    "and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
    f"'{_LABEL}')"
)
_SUBDOMAIN_SAYS: Final = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must "
    "start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    rf"'{_SUBDOMAIN}')"
)
_LABEL_1035_SAYS: Final = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic "
    "character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for "
    f"validation is '{_LABEL_1035}')"
)
_NAME_SAYS: Final = (
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
    f"character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '{_NAME}')"
)
_VALUE_SAYS: Final = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must "
    "start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used "
    f"for validation is '{_VALUE}')"
)


def _length(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def _too_long(text: str, limit: int, unit: str = "characters") -> list[str]:
    return [f"must be no more than {limit} {unit}"] if _length(text) > limit else []


def _is_label(text: str) -> bool:
    return bool(text) and _LABEL_CHARS.fullmatch(text) is not None and text[0] != "-" and text[-1] != "-"


def _is_name(text: str) -> bool:
    return (
        bool(text)
        and _NAME_CHARS.fullmatch(text) is not None
        and text[0] not in "-_."
        and text[-1] not in "-_."
    )


def is_dns_label(text: str) -> bool:
    """Tell whether a text is a DNS label as RFC 1123 has it, with at most 63 characters."""
    return len(text) <= 63 and _is_label(text)


def is_dns_subdomain(text: str) -> bool:
    """Tell whether a text is a DNS subdomain as RFC 1123 has it, with at most 253 characters."""
    return len(text) <= 253 and _has_subdomain_form(text)


def _has_subdomain_form(text: str) -> bool:
    return all(map(_is_label, text.split(".")))


def _dns1123_label(text: str) -> list[str]:
    errors = _too_long(text, 63)
    if not _is_label(text):
        errors.append("must not contain dots" if _has_subdomain_form(text) else _LABEL_SAYS)
    return errors


def _dns1123_subdomain(text: str) -> list[str]:
    return _too_long(text, 253) + ([] if _has_subdomain_form(text) else [_SUBDOMAIN_SAYS])


def _dns1035_label(text: str) -> list[str]:
    valid = _is_label(text) and "a" <= text[0] <= "z"
    return _too_long(text, 63) + ([] if valid else [_LABEL_1035_SAYS])


def _prefix(validate: Callable[[str], list[str]]) -> Callable[[str], list[str]]:
    """Return the validation of what a name starts with: it may end in a dash."""

    def validate_prefix(text: str) -> list[str]:
        if len(text.encode("utf-8", "surrogatepass")) > 1 and text.endswith("-"):
            text = text.encode("utf-8", "surrogatepass")[:-2].decode("utf-8", "replace") + "a"
        return validate(text)

    return validate_prefix


def _qualified_name(text: str) -> list[str]:
    prefix, slash, name = text.partition("/")
    if not slash:
        prefix, name = "", text
    elif "/" in name:
        tail = " with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
        return [f"a valid label key {_NAME_SAYS}{tail}"]
    errors = []
    if slash and not prefix:
        errors.append("prefix part must be non-empty")
    elif slash:
        errors += [f"prefix part {error}" for error in _too_long(prefix, 253, "bytes")]
        errors += [] if _has_subdomain_form(prefix) else [f"prefix part {_SUBDOMAIN_SAYS}"]
    if not name:
        errors.append("name part must be non-empty")
    errors += [f"name part {error}" for error in _too_long(name, 63, "bytes")]
    return errors + ([] if _is_name(name) else [f"name part {_NAME_SAYS}"])


def _label_value(text: str) -> list[str]:
    return _too_long(text, 63, "bytes") + ([] if text == "" or _is_name(text) else [_VALUE_SAYS])


def _uri(text: str) -> list[str]:
    error = uri_error(text)
    return [] if error is None else [error]


def _says(valid: Callable[[str], bool], message: str) -> Callable[[str], list[str]]:
    return lambda text: [] if valid(text) else [message]


def _is_date(text: str) -> bool:
    found = _DATE.fullmatch(text)
    if found is None:
        return False
    year, month, day = map(int, found.groups())
    if not 1 <= month <= 12 or not 1 <= day <= _MONTH_DAYS[month - 1]:
        return False
    return (month, day) != (2, 29) or (year % 4 == 0 and (year % 100 != 0 or year % 400 == 0))


def _is_datetime(text: str) -> bool:
    date, _, rest = text.lower().partition("t")
    found = _CLOCK.fullmatch(rest.partition("t")[0]) if _is_date(date) else None
    return found is not None and found[1] <= "23" and found[2] <= "59" and found[3] <= "59"


FORMATS: Final[Mapping[str, Callable[[str], list[str]]]] = {
    "dns1123Label": _dns1123_label,
    "dns1123Subdomain": _dns1123_subdomain,
    "dns1035Label": _dns1035_label,
    "qualifiedName": _qualified_name,
    "dns1123LabelPrefix": _prefix(_dns1123_label),
    "dns1123SubdomainPrefix": _prefix(_dns1123_subdomain),
    "dns1035LabelPrefix": _prefix(_dns1035_label),
    "labelValue": _label_value,
    "uri": _uri,
    "uuid": _says(lambda text: _UUID.fullmatch(text) is not None, "does not match the UUID format"),
    "byte": _says(lambda text: _BASE64.fullmatch(text) is not None, "invalid base64"),
    "date": _says(_is_date, "invalid date"),
    "datetime": _says(_is_datetime, "invalid datetime"),
}
"""The formats by name; each returns what is wrong with a text."""


@LIBRARY.function("format.named", "optional")
def named(name: Any) -> Optional:
    """Return the format of that name, if there is one."""
    if name.__class__ is not str:
        raise no_overload("format.named")
    return Optional(NamedFormat(name)) if name in FORMATS else NONE


def _declare(name: str) -> None:
    value = NamedFormat(name)

    @LIBRARY.function(f"format.{name}", "kubernetes.NamedFormat", (0,))
    def get() -> NamedFormat:
        return value


for _name in FORMATS:
    _declare(_name)


@LIBRARY.method("validate", "optional", (1,), costly=lambda kind, text: reading_cost(text))
def validate(kind: Any, text: Any) -> Optional:
    """Return what is wrong with a text, or nothing."""
    if kind.__class__ is not NamedFormat or text.__class__ is not str:
        raise no_overload("validate")
    errors = FORMATS[kind.name](text)
    return Optional(errors) if errors else NONE
