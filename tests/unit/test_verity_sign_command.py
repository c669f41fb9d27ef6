# SPDX-License-Identifier: LGPL-2.1-or-later
"""dmctl verity sign, verify-signature and gpt: arguments, files, exit statuses, and that no secret is told."""

import base64
import json
import os
import pty
import signal
import stat
import subprocess
import sys
import traceback

import pytest
import typer

from dmctl.cli import stream, verity_sign
from dmctl.errors import DmctlError, ExitStatus
from verity_keys import OTHER_ROOT, PASSPHRASE, ROOT, USAGE, Pair, certificate_with, openssl

app = typer.Typer(add_completion=False, rich_markup_mode=None)
app.command("sign")(verity_sign.sign)
app.command("verify-signature")(verity_sign.verify_signature)
app.command("gpt")(verity_sign.gpt)


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    folder = tmp_path_factory.mktemp("keys")
    made = Pair(folder, "ec", "P-256")
    encrypted = openssl("pkcs8", "-topk8", "-in", made.key_file, "-passout", "stdin", stdin=PASSPHRASE.encode())
    (folder / "encrypted.key").write_bytes(encrypted)
    (folder / "passphrase").write_text(PASSPHRASE + "\r\nmore\n")
    (folder / "wrong").write_text("not" + PASSPHRASE)
    return made


@pytest.fixture
def run(capfdbinary, pair, monkeypatch):
    """Run a command; KEY, CERT and ROOT stand for the pair's and the root hash. Its status, output and messages."""
    secrets = [PASSPHRASE.encode()]
    for file in (pair.key_file, pair.key_file.with_name("encrypted.key")):
        secrets += [line for line in file.read_bytes().splitlines() if not line.startswith(b"-----")]

    def run(*words):
        known = {"KEY": pair.key_file, "CERT": pair.cert_file, "ROOT": ROOT}
        status, told = ExitStatus.DONE, ""
        try:
            app([str(known.get(word, word)) for word in words], standalone_mode=False)
        except DmctlError as error:
            status = error.exit_status
            stream.error(f"dmctl: {error}")
            told = "".join(traceback.format_exception(error)) + repr(vars(error))
        stream.flush()
        out, err = capfdbinary.readouterr()
        for secret in secrets:
            assert secret not in out + err + told.encode()
        return status, out, err.decode()

    return run


@pytest.fixture
def signature(run, tmp_path):
    file = tmp_path / "signature"
    assert run("sign", "ROOT", "--key", "KEY", "--cert", "CERT", "-o", file) == (0, b"", "")
    return file


def test_sign_writes_a_file(run, tmp_path, pair):
    """Readable by all, whatever the umask is; in the place of what was there; through a link; nothing left beside."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out/old").write_text("old")
    (tmp_path / "out/old").chmod(0o600)
    (tmp_path / "link").symlink_to("out/old")
    inode = (tmp_path / "out/old").stat().st_ino
    umask = os.umask(0o077)
    try:
        assert run("sign", "ROOT", "--key", "KEY", "--cert", "CERT", "-o", tmp_path / "link") == (0, b"", "")
    finally:
        os.umask(umask)
    assert os.listdir(tmp_path / "out") == ["old"]
    found = (tmp_path / "out/old").stat()
    assert stat.S_IMODE(found.st_mode) == 0o644
    assert found.st_ino != inode
    (tmp_path / "root").write_text(ROOT)
    check = ("cms", "-verify", "-binary", "-noverify", "-inform", "der", "-in", tmp_path / "out/old")
    assert openssl(*check, "-certfile", pair.cert_file, "-content", tmp_path / "root") == ROOT.encode()


def test_sign_to_standard_output(run, monkeypatch):
    status, out, err = run("sign", "ROOT", "--key", "KEY", "--cert", "CERT", "--with-cert", "-o", "-")
    assert (status, out[:1], err) == (0, b"0", "")
    assert openssl("cms", "-cmsout", "-inform", "der", "-outform", "der", stdin=out) == out
    monkeypatch.setattr(type(sys.stdout), "isatty", lambda self: True, raising=False)
    status, out, err = run("sign", "ROOT", "--key", "KEY", "--cert", "CERT", "-o", "-")
    assert (status, out) == (2, b"")
    assert "terminal" in err


def test_sign_json(run, tmp_path, pair):
    words = ("sign", "ROOT", "--key", "KEY", "--cert", "CERT", "-o", tmp_path / "s", "--digest", "sha384", "--json")
    status, out, err = run(*words)
    found = json.loads(out)
    assert (status, err) == (0, "")
    assert found.pop("certificate") == {
        "subject": pair.cert.subject,
        "serial": pair.cert.serial,
        "fingerprint_sha256": pair.cert.fingerprint,
        "key_type": "ec",
    }
    assert found == {
        "output_version": {"command": "verity sign", "vers_major": 1, "vers_minor": 0},
        "root_hash": ROOT,
        "signature_file": str(tmp_path / "s"),
        "signature_bytes": (tmp_path / "s").stat().st_size,
        "digest": "sha384",
        "warnings": [],
    }


def test_root_hash_file(run, tmp_path, signature):
    file = tmp_path / "root"
    file.write_text(ROOT.upper() + "\n")
    assert run("verify-signature", "--root-hash-file", file, signature, "--cert", "CERT")[0] == 0
    assert run("verify-signature", "--root-hash-file", file, "ROOT", signature, "--cert", "CERT")[0] == 2
    assert run("sign", "--root-hash-file", file, "--emit", "-") == (0, ROOT.encode(), "")
    assert run("sign", "--root-hash-file", file, "ROOT", "--emit", "-")[0] == 2
    for wrong in (b"", b"\xff", b"00"):
        file.write_bytes(wrong)
        assert run("sign", "--root-hash-file", file, "--emit", "-")[0] == 2


def test_two_steps(run, tmp_path, pair):
    assert run("sign", "ROOT", "--emit", tmp_path / "emitted") == (0, b"", "")
    assert (tmp_path / "emitted").read_bytes() == ROOT.encode()
    openssl("dgst", "-sha256", "-sign", pair.key_file, "-out", tmp_path / "value", tmp_path / "emitted")
    attach = ("sign", "ROOT", "--attach", tmp_path / "value", "-o", tmp_path / "attached")
    assert run(*attach, "--cert", "CERT") == (0, b"", "")
    assert run("verify-signature", "ROOT", tmp_path / "attached", "--cert", "CERT")[0] == 0
    status, _out, err = run(*attach)
    assert (status, err) == (1, f"dmctl: {tmp_path}/value: {NEEDS_CERTIFICATE}\n")
    (tmp_path / "value").write_bytes(pair.sign())
    status, out, err = run(*attach, "--cert", "CERT", "--json")
    assert (status, len(json.loads(out)["warnings"]), err.count("dmctl: warning: ")) == (0, 2, 2)
    status, _out, err = run("sign", OTHER_ROOT, *attach[2:], "--cert", "CERT")
    assert status == 6


NEEDS_CERTIFICATE = "This is no PKCS #7; the bare value of a signature needs the certificate with it."


def test_verify_signature(run, signature, pair):
    status, out, err = run("verify-signature", "ROOT", signature, "--cert", "CERT")
    assert (status, out.decode(), err) == (
        0,
        f"{signature} is a signature of this root hash by {pair.cert.subject}.\n",
        "",
    )
    status, out, _err = run("verify-signature", "ROOT", signature, "--cert", "CERT", "--json")
    found = json.loads(out)
    assert found["output_version"] == {"command": "verity verify-signature", "vers_major": 1, "vers_minor": 0}
    assert (status, found["valid"], found["reason"]) == (0, True, None)
    status, out, err = run("verify-signature", OTHER_ROOT, signature, "--cert", "CERT")
    assert (status, out, err.count("\n")) == (6, b"", 1)
    status, out, err = run("verify-signature", OTHER_ROOT, signature, "--cert", "CERT", "--json")
    found = json.loads(out)
    assert (status, found["valid"], err) == (6, False, f"dmctl: {signature}: {found['reason']}\n")
    signature.write_bytes(b"nothing")
    status, out, _err = run("verify-signature", "ROOT", signature, "--cert", "CERT", "--json")
    assert (status, out) == (1, b"")


def test_warnings_of_the_certificate(run, tmp_path, pair):
    old = certificate_with(pair, tmp_path / "c", first_day=-20, last_day=-10)
    status, out, err = run("sign", "ROOT", "--key", "KEY", "--cert", old, "-o", tmp_path / "s", "--json")
    told = json.loads(out)["warnings"]
    assert status == 0
    assert err.splitlines() == [f"dmctl: warning: {one}" for one in told]
    assert [word in one for one, word in zip(told, ("usage", "identifier", "expired"), strict=True)] == [True] * 3
    assert run("verify-signature", "ROOT", tmp_path / "s", "--cert", old)[0] == 0


def test_gpt(run, tmp_path, signature, pair):
    status, out, err = run("gpt", "ROOT", "--arch", "arm64")
    assert (status, err) == (0, "")
    told = out.decode().splitlines()
    assert len(told) == 3 * 6
    assert told[:9] == [
        *("root:", "  type: b921b045-1df0-41c3-af44-4c6f280d3fae", "  uuid: 4392712b-a013-68ef-df14-b05c76f9e4df"),
        *(
            "root-verity:",
            "  type: df3300ce-d69f-4c92-978c-9bfb0f38d820",
            "  uuid: 0d536646-30b5-d486-32ed-17a137f39076",
        ),
        *("root-verity-sig:", "  type: 6db69de6-29f4-4758-a7a5-962190f00ce3", "  uuid: any"),
    ]
    words = ("gpt", "ROOT", "--arch", "arm64", "--sign", signature, "--cert", "CERT", "-o")
    status, out, _err = run(*words, tmp_path / "part", "--json")
    found = json.loads(out)
    assert found["output_version"] == {"command": "verity gpt", "vers_major": 1, "vers_minor": 0}
    assert (status, found["architecture"], found["signature_partition_bytes"]) == (0, "arm64", 4096)
    assert found["partitions"][2] == {
        "name": "root-verity-sig",
        "type_uuid": "6db69de6-29f4-4758-a7a5-962190f00ce3",
        "uuid": None,
    }
    assert run(*words, "-") == (0, (tmp_path / "part").read_bytes(), "")
    assert json.loads((tmp_path / "part").read_bytes().rstrip(b"\0")) == {
        "rootHash": ROOT,
        "certificateFingerprint": pair.cert.fingerprint,
        "signature": base64.b64encode(signature.read_bytes()).decode(),
    }
    assert run("gpt", OTHER_ROOT, *words[2:], tmp_path / "other")[0] == 6
    assert not (tmp_path / "other").exists()
    assert run("gpt", "0" * 40)[0] == 2
    assert run(*words[:4], "--sign", signature)[0] == 2


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        ("sign ROOT", 2, "-o FILE"),
        ("sign -o out", 2, "one root hash"),
        ("sign ROOT -o out", 2, "--key and --cert"),
        ("sign ROOT --key KEY -o out", 2, "--key and --cert"),
        ("sign ROOT --key KEY --cert CERT -o out --digest sha1", 2, "'sha1' is not one of"),
        ("sign ROOT --key KEY --cert CERT -o - --json", 2, "both"),
        ("sign ROOT --key KEY --attach x -o out", 2, "--attach does not go with --key"),
        ("sign ROOT --emit - -o out", 2, "--emit does not go with --output"),
        ("sign xyz --emit -", 2, "hexadecimal"),
        ("sign ROOT --key pkcs11: --cert CERT -o out", 2, "pkcs11: names no key"),
        ("sign ROOT --key missing --cert CERT -o out", 3, "missing cannot be read: No such file"),
        ("sign ROOT --key KEY --cert missing -o out", 3, "missing cannot be read: No such file"),
        ("sign ROOT --key KEY --cert KEY -o out", 1, "is no certificate"),
        ("sign ROOT --key CERT --cert CERT -o out", 1, "is no private key"),
        ("sign ROOT --key KEY --cert CERT -o no/where", 3, "no/where cannot be written: No such file"),
        ("sign ROOT --key KEY --cert CERT -o /proc/version", 3, "cannot be written"),
        ("sign ROOT --key KEY --cert CERT -o pipe", 2, "not a regular file"),
        ("sign ROOT --key KEY --cert CERT -o .", 2, "not a regular file"),
        ("sign ROOT --key KEY --cert CERT -o KEY", 2, "is read and cannot be written"),
        ("sign ROOT --key /dev/zero --cert CERT -o out", 1, "more than 1048576 bytes"),
        ("verify-signature ROOT --cert CERT", 2, "Needed are"),
        ("verify-signature ROOT missing", 2, "--cert FILE"),
        ("verify-signature ROOT missing --cert CERT", 3, "missing cannot be read"),
        ("gpt ROOT --arch vax", 2, "'vax' is not one of"),
    ],
)
def test_refused(run, tmp_path, monkeypatch, words, status, message):
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")  # as something that is no file; never a device of the machine, which a mistake would replace
    found, out, err = run(*words.split())
    assert (found, out) == (status, b"")
    assert message in err
    assert err.startswith("dmctl: ")
    assert err.endswith(".\n")
    assert err.count("\n") == 1
    assert os.listdir() == ["pipe"]
    assert stat.S_ISFIFO(os.stat("pipe").st_mode)


def test_key_of_another_certificate(run, tmp_path):
    other = Pair(tmp_path, "other", "P-256", *USAGE)
    status, _out, err = run("sign", "ROOT", "--key", "KEY", "--cert", other.cert_file, "-o", tmp_path / "s")
    assert (status, err) == (1, "dmctl: The private key is not that of the certificate.\n")


def test_passphrase_file(run, tmp_path, pair):
    folder = pair.key_file.parent
    words = ("sign", "ROOT", "--key", folder / "encrypted.key", "--cert", "CERT", "-o", tmp_path / "s")
    assert run(*words, "--passphrase-file", folder / "passphrase") == (0, b"", "")
    status, _out, err = run(*words, "--passphrase-file", folder / "wrong")
    assert (status, err) == (1, f"dmctl: The passphrase of {folder}/encrypted.key is wrong, or the key is damaged.\n")
    assert run(*words, "--passphrase-file", folder / "missing")[0] == 3
    # A key that is not encrypted does not mind one.
    plain = ("sign", "ROOT", "--key", "KEY", "--cert", "CERT", "-o", tmp_path / "s")
    assert run(*plain, "--passphrase-file", folder / "wrong")[0] == 0


def child(words):
    """In a forked child: run a command to its end."""
    try:
        app(words, standalone_mode=False)
        status = ExitStatus.DONE
    except DmctlError as error:
        stream.error(f"dmctl: {error}")
        status = error.exit_status
    finally:
        stream.flush()
    os._exit(status)


@pytest.mark.parametrize("typed", [PASSPHRASE, "wrong"])
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_passphrase_is_asked_for(pair, tmp_path, typed):
    """On the terminal, which does not show it."""
    words = ["sign", ROOT, "--key", str(pair.key_file.with_name("encrypted.key")), "--cert", str(pair.cert_file)]
    pid, terminal = pty.fork()
    if not pid:
        child([*words, "-o", str(tmp_path / "s")])
    shown = b""
    while b"encrypted.key: " not in shown:
        shown += os.read(terminal, 1000)
    os.write(terminal, typed.encode() + b"\n")
    shown = read_to_the_end(terminal)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert typed.encode() not in shown.replace(b"is wrong, or", b"")
    assert (status, (tmp_path / "s").exists()) == ((0, True) if typed == PASSPHRASE else (1, False))


def read_to_the_end(terminal):
    shown = b""
    try:
        while more := os.read(terminal, 1000):
            shown += more
    except OSError:  # EIO: the child has closed its end
        pass
    os.close(terminal)
    return shown


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_no_terminal_to_ask_on(pair, tmp_path):
    words = ["sign", ROOT, "--key", str(pair.key_file.with_name("encrypted.key")), "--cert", str(pair.cert_file)]
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        os.setsid()
        os.dup2(writing, 2)
        signal.alarm(30)
        child([*words, "-o", str(tmp_path / "s")])
    os.close(writing)
    with open(reading, "rb") as told:
        assert b"there is no terminal to ask on: --passphrase-file FILE." in told.read()
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 1


def test_a_write_that_fails_leaves_the_old_file(run, tmp_path, monkeypatch):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/s").write_text("old")

    def no_space(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_space)
    status, _out, err = run("sign", "ROOT", "--key", "KEY", "--cert", "CERT", "-o", tmp_path / "out/s")
    assert (status, err) == (1, f"dmctl: {tmp_path}/out/s cannot be written: No space left on device.\n")
    assert [(file.name, file.read_text()) for file in (tmp_path / "out").iterdir()] == [("s", "old")]


def test_cryptography_is_loaded_only_for_a_certificate():
    """It takes longer than any other command of the group needs to start."""
    program = (
        "import sys\n"
        "from dmctl.cli import verity_sign\n"
        f"verity_sign.sign('{ROOT}', emit='-')\n"
        f"verity_sign.gpt('{ROOT}', arch='arm64')\n"
        "sys.exit('cryptography' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-P", "-c", program], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout.startswith(ROOT.encode() + b"root:\n")
