"""A folder's ``.env``, as editors and deployment tools write it."""

import os
from pathlib import Path

import pytest

from flows.errors import ConfigurationError
from flows.settings import Settings, load_settings

TEXT = 'VOLTICK_API_PORT=9001\nVOLTICK_GROUP="from-file"\n'


@pytest.fixture
def dotenv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in os.environ:
        if name.startswith(("VOLTICK_", "KAFKA_", "REDIS_", "MODEL_")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path / ".env"


@pytest.mark.parametrize(
    "content",
    [
        TEXT.encode(),
        TEXT.encode("utf-8-sig"),
        TEXT.encode("utf-16"),
        b"\xfe\xff" + TEXT.encode("utf-16-be"),
        TEXT.encode("utf-16-le"),
        TEXT.encode("utf-16-be"),
        TEXT.encode("utf-32"),
        TEXT.encode("utf-32-le"),
        TEXT.encode("utf-32-be"),
        TEXT.replace("\n", "\r\n").encode(),
        b"; VOLTICK_API_PORT=1\n// VOLTICK_API_PORT=2\n" + TEXT.encode(),
        TEXT.replace("\n", "\r").encode(),
        TEXT.rstrip().encode(),
        b"export VOLTICK_API_PORT=9001\nexport VOLTICK_GROUP='from-file' # a comment\n",
        b"VOLTICK_API_PORT = 9001 # a comment\n VOLTICK_GROUP = from-file  \n",
        b"VOLTICK_API_PORT=1\n" + TEXT.encode(),
        "# für alle\n".encode("latin-1") + TEXT.encode(),
        "OTHER=für alle\n".encode("latin-1") + TEXT.encode(),
        b"other: yaml\nOTHER='open\n" + TEXT.encode(),
        b"\n\n  \nVOLTICK_LOG_LEVEL\n" + TEXT.encode(),
    ],
    ids=[
        *("utf-8", "utf-8-bom", "utf-16-bom", "utf-16-be-bom", "utf-16-le", "utf-16-be"),
        *("utf-32-bom", "utf-32-le", "utf-32-be"),
        *("crlf", "other-comments", "cr", "no-newline-at-end", "export", "blanks", "twice"),
        *("latin-1-comment", "latin-1-elsewhere", "foreign-lines", "name-alone"),
    ],
)
def test_the_file_is_read_as_it_is_meant(dotenv: Path, content: bytes) -> None:
    dotenv.write_bytes(content)
    assert load_settings() == Settings(api_port=9001, group="from-file")


@pytest.mark.parametrize(
    ("content", "line", "cure"),
    [
        ("# x\nKAFKA_SASL_PASSWORD=pässword\n".encode("latin-1"), 2, "UTF-8"),
        (b"VOLTICK_API_PORT: 8000\n", 1, "NAME=value"),
        (b"set VOLTICK_API_PORT=8000\n", 1, "NAME=value"),
        (b"A=1\nsetenv VOLTICK_API_PORT 8000\n", 2, "NAME=value"),
        (b'declare -x VOLTICK_API_PORT="8000"\n', 1, "NAME=value"),
        (b"env:\n  - VOLTICK_API_PORT=8000\n", 2, "NAME=value"),
        (b'A=1\nB=2\nVOLTICK_GROUP="open\n', 3, "close each quote"),
        (b"A=1\n\n\nexport VOLTICK_GROUP='open\n", 4, "close each quote"),
    ],
    ids=[
        *("latin-1", "yaml", "batch", "csh", "declare", "list-of-yaml"),
        *("open-quote", "exported-open-quote"),
    ],
)
def test_a_setting_that_cannot_be_read_is_named_with_its_line(
    dotenv: Path, content: bytes, line: int, cure: str
) -> None:
    dotenv.write_bytes(content)
    with pytest.raises(
        ConfigurationError, match=rf"^\.env, line {line}: (KAFKA|VOLTICK)_"
    ) as caught:
        load_settings()
    assert cure in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "ssword" not in str(caught.value).replace("PASSWORD", "")


@pytest.mark.parametrize(
    "content",
    [
        "A=1\n\ufeffVOLTICK_API_PORT=9001\n".encode(),  # two files put together
        b"$env:VOLTICK_API_PORT = '9001'\n",
        b"VOLTICK-API-PORT=9001\n",
    ],
    ids=["byte-order-mark-within", "powershell", "dashes"],
)
def test_a_setting_whose_name_came_with_something_is_not_passed_over(
    dotenv: Path, content: bytes
) -> None:
    dotenv.write_bytes(content)
    with pytest.raises(ConfigurationError, match="is not read; write VOLTICK_API_PORT"):
        load_settings()


def test_a_folder_of_that_name_is_none_of_our_business(dotenv: Path) -> None:
    dotenv.mkdir()
    assert load_settings() == Settings()


def test_quotes_within_a_files_quotes_stay(dotenv: Path) -> None:
    dotenv.write_text("""KAFKA_SASL_PASSWORD='"x"'\n""")
    settings = load_settings()
    assert settings.kafka_sasl_password is not None
    assert settings.kafka_sasl_password.get_secret_value() == '"x"'
    assert load_settings(settings.to_env()) == settings


@pytest.mark.parametrize(
    ("line", "password"),
    [
        ("KAFKA_SASL_PASSWORD='pa${NOBODY}ss$x'", "pa${NOBODY}ss$x"),
        ("KAFKA_SASL_PASSWORD='${FILE_WORD}'", "${FILE_WORD}"),
        ("export KAFKA_SASL_PASSWORD = '${NOBODY:-b}' # a comment", "${NOBODY:-b}"),
        ("KAFKA_SASL_PASSWORD=pa${NOBODY}ss", "pa${NOBODY}ss"),
        ('KAFKA_SASL_PASSWORD="pa${NOBODY}ss"', "pa${NOBODY}ss"),
        ("KAFKA_SASL_PASSWORD=${FILE_WORD}-${SHELL_WORD}", "of file-of shell"),
        ('KAFKA_SASL_PASSWORD="${BOTH}-${NOBODY:-b}"', "of file-b"),
        ("KAFKA_SASL_PASSWORD=${FILE_WORD:-b}", "of file"),
    ],
)
def test_a_variable_in_a_value_is_replaced_as_a_shell_does_it_and_never_by_nothing(
    dotenv: Path, monkeypatch: pytest.MonkeyPatch, line: str, password: str
) -> None:
    monkeypatch.delenv("NOBODY", raising=False)
    monkeypatch.setenv("SHELL_WORD", "of shell")
    monkeypatch.setenv("BOTH", "of shell")
    dotenv.write_text(f"FILE_WORD='of file'\nBOTH='of file'\n{line}\n")
    settings = load_settings()
    assert settings.kafka_sasl_password is not None
    assert settings.kafka_sasl_password.get_secret_value() == password


def test_a_setting_with_a_variable_that_nobody_has_set_is_refused(
    dotenv: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NOBODY", raising=False)
    dotenv.write_text("VOLTICK_GROUP=voltick${NOBODY}\n")
    with pytest.raises(ConfigurationError, match=r"VOLTICK_GROUP='voltick\$\{NOBODY\}' .*variable"):
        load_settings()


def test_an_unreadable_file_is_one_line(dotenv: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dotenv.write_text(TEXT)

    def refuse(_path: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(ConfigurationError, match=r"^\.env cannot be read: Permission denied; let"):
        load_settings()


@pytest.mark.usefixtures("dotenv")
def test_a_working_folder_that_this_user_may_not_look_into_holds_no_file(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(_path: Path) -> bool:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "is_file", refuse)
    assert load_settings() == Settings()
