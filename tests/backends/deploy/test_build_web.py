"""Who may ask the build server what, and what it shows: signatures, replays, foreign pages, markup in logs, secrets."""

import base64
import json
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from windtunnel.backends.deploy.server.access import Access
from windtunnel.backends.deploy.server.masking import MaskedLog, forms
from windtunnel.backends.deploy.server.webhook import Refused, read_push, signature

from .support_builds import SECRET, Repo, Server, git, pipeline, windtunnel

Make = Callable[..., Server]


def ask(url: str, body: bytes | None = None, **headers: str) -> tuple[int, str, Mapping[str, str]]:
    """Status, body and fields of an answer."""
    request = urllib.request.Request(
        url, data=body, headers={name.replace("_", "-"): text for name, text in headers.items()}
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read().decode(), dict(answer.headers)
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(), dict(error.headers)


def hooked(
    server: Server, ref: str, commit: str, delivery: str, secret: str = SECRET, event: str = "push"
) -> tuple[int, str]:
    """A delivery as GitHub makes it."""
    body = json.dumps({"ref": ref, "after": commit}).encode()
    status, text, _ = ask(
        server.url + "/webhook", body, Content_Type="application/json", X_GitHub_Event=event,
        X_GitHub_Delivery=delivery, X_Hub_Signature_256=signature(secret, body),
    )  # fmt: skip
    return status, json.loads(text)["message"]


def test_a_webhook_is_believed_by_its_signature_and_counts_once(make_server: Make, repo: Repo) -> None:
    with make_server() as server:
        old = repo.commit(pipeline("true"))
        repo.push()
        master = "refs/heads/master"
        status, message = hooked(server, master, old, "d-1", secret="another")
        assert (status, message.startswith("expected X-Hub-Signature-256")) == (403, True)
        assert hooked(server, master, old, "not a name")[0] == 400
        assert hooked(server, master, old, "d-0", event="ping") == (200, "nothing to build")
        assert hooked(server, master, "0" * 40, "d-0") == (200, "nothing to build")
        assert hooked(server, "refs/tags/v1", old, "d-0") == (200, "nothing to build")
        assert hooked(server, "refs/heads/../../x", old, "d-0")[0] == 422
        assert hooked(server, master, old, "d-1")[0] == 202
        assert hooked(server, master, old, "d-1")[1] == "delivery d-1 has started build 1 before"
        assert "is build 1 already" in hooked(server, master, old, "d-2")[1], "replayed under another name"
        new = repo.commit(pipeline("true"))
        repo.push()
        assert "and no more at" in hooked(server, master, old, "d-3")[1], "an old push, replayed"
        assert hooked(server, master, new, "d-4")[0] == 202
        assert server.ended(2).commit == new
        assert len(server.client.builds()) == 2


def test_the_signature_is_githubs() -> None:
    # The example of GitHub's documentation, "Validating webhook deliveries".
    given = signature("It's a Secret to Everybody", b"Hello, World!")
    assert given == "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    headers = {"X-Hub-Signature-256": "sha256=é", "X-GitHub-Delivery": "1", "X-GitHub-Event": "push"}
    with pytest.raises(Refused) as refused:
        read_push(headers, b"{}", "secret")
    assert refused.value.status == 403
    body = b"[1]"
    with pytest.raises(Refused, match="refs/heads/BRANCH"):
        read_push({**headers, "X-Hub-Signature-256": signature("secret", body)}, body, "secret")


def test_markup_and_secrets_never_reach_a_page(make_server: Make, repo: Repo, tmp_path: Path) -> None:
    file = tmp_path / "secrets.yaml"
    file.write_text("REDIS_PASSWORD: pa'ss & <word> 1\nUNUSED: another-secret\n")
    file.chmod(0o600)
    markup = "<script>alert(1)</script>"
    document = pipeline(
        f"""echo '{markup}'; printf '\\033[31mred\\033[0m\\n'; echo "[$REDIS_PASSWORD]" "$FROM_ENVIRONMENT" "$UNUSED" "$OTHER" "$SHOWN"
        mkdir runs; echo '{markup}' > 'runs/<b>.html'; ln -s /etc/passwd runs/link""",
        secrets={"REDIS_PASSWORD": {"credential": "p"}, "FROM_ENVIRONMENT": {"credential": "e"}},
        publish={"artifacts": ["runs/**"]},
    )
    document["stages"][1]["secrets"] = ["REDIS_PASSWORD", "FROM_ENVIRONMENT"]
    document["stages"].append(
        {"stage": "without", "steps": ['echo "[$REDIS_PASSWORD]"', "echo https://user:hidden@host; exit 1"]}
    )
    environment = {"FROM_ENVIRONMENT": "of-the-environment", "OTHER": "not-passed", "SHOWN": "shown-to-all"}
    with make_server("SHOWN", secrets=str(file), **environment) as server:
        server.hook()
        repo.commit(document)
        repo.push()
        build = server.ended(1)
        log = server.log(1)
        for line in (markup, "red", "[[removed]] [removed]   shown-to-all"):
            assert f"\n{line}\n" in log
        assert "\n[]\n" in server.log(1, "without"), "only the stage that asks for a secret gets it"
        status, page, fields = ask(f"{server.url}/builds/1")
        assert status == 200
        assert markup not in page
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
        assert "default-src 'none'" in fields["Content-Security-Policy"]
        everything = (
            page + ask(server.url)[1] + ask(server.url + "/api/builds")[1] + log + server.log(1, "without")
        )
        for secret in (
            "pa'ss",
            "&lt;word&gt;",
            "of-the-environment",
            "another-secret",
            "not-passed",
            "user:hidden",
        ):
            assert secret not in everything
        assert build.artifacts == ["runs/<b>.html"], "a link is no artefact"
        status, kept, fields = ask(f"{server.url}/builds/1/artifacts/runs/%3Cb%3E.html")
        assert (status, kept.strip()) == (200, markup)
        assert "sandbox" in fields["Content-Security-Policy"]
        assert ask(f"{server.url}/builds/1/artifacts/runs/link")[0] == 404
        assert ask(f"{server.url}/builds/1/artifacts/..%2f..%2flogs")[0] == 404
        assert "refresh" not in page, "what is over does not change"


def test_a_missing_secret_is_a_sentence_and_not_an_empty_variable(make_server: Make, repo: Repo) -> None:
    with make_server() as server:
        server.hook()
        document = pipeline("echo never", secrets={"TOKEN_OF_TEST": {"credential": "t"}})
        document["stages"][1]["secrets"] = ["TOKEN_OF_TEST"]
        repo.commit(document)
        repo.push()
        reason = server.ended(1).reason
        assert reason.startswith(
            "work: expected the secret TOKEN_OF_TEST in the environment of the build server"
        )


def test_errors_of_the_api_are_sentences(make_server: Make, repo: Repo) -> None:
    with make_server() as server:
        server.hook()
        repo.commit(pipeline("true"))
        repo.push()
        server.ended(1)
        api = server.url + "/api/builds"
        json_type = {"Content_Type": "application/json"}
        for url, body, headers, status, words in (
            (f"{api}/9", None, {}, 404, "there is no build 9"),
            (f"{api}/1/log?stage=x", None, {}, 404, "it has check out, work"),
            (f"{api}/1/log?stage=work&offset=-1", None, {}, 400, "a whole number"),
            (api, b'{"branch": 3}', json_type, 400, 'expected {"branch": NAME}'),
            (api, b"branch=master", {}, 415, "application/json"),
            (api, b'{"branch": "master"}', {**json_type, "Host": "evil.example"}, 403, "loopback"),
            (api, b'{"branch": "master"}', {**json_type, "Host": "127.evil.example"}, 403, "loopback"),
            (api, b'{"branch": "master", "commit": "--output=x"}', json_type, 422, "hexadecimal"),
        ):
            got, text, _ = ask(url, body, **headers)
            assert (got, words in json.loads(text)["message"]) == (status, True), text


def test_a_token_is_asked_for_in_constant_time_by_bearer_or_password() -> None:
    access = Access("the token")
    basic = base64.b64encode(b"me:the token").decode()
    for good in ("Bearer the token", f"Basic {basic}"):
        access.check({"Authorization": good, "Host": "build.example"}, changes=True)
    for bad in (
        "",
        "Bearer",
        "Bearer the toke",
        "Basic %%",
        "Basic " + base64.b64encode(b"the token").decode(),
    ):
        with pytest.raises(Refused) as refused:
            access.check({"Authorization": bad, "Host": "localhost"}, changes=False)
        assert refused.value.status == 401


def test_a_secret_is_masked_however_it_is_cut_or_written(tmp_path: Path) -> None:
    log_file = tmp_path / "log"
    secret = "it's a p@ss/word\nof two lines"
    log = MaskedLog(log_file, [secret])
    for form in sorted(forms(secret)):
        data = f"x{form}y\n".encode()
        for cut in range(0, len(data), 3):
            log.write(data[cut : cut + 3])
    long = b"z" * 70_000 + secret.splitlines()[0].encode() + b"z" * 70_000
    for cut in range(0, len(long), 1000):
        log.write(long[cut : cut + 1000])
    log.write(b"\nhttps://me:hidden@host \x1b[31m\xff\x00")
    log.close()
    text = log_file.read_text()
    for form in forms(secret):
        assert form not in text
    assert "p@ss" not in text
    assert text.endswith("zz\nhttps://host �\n")


def test_the_command_line_says_what_it_expected(tmp_path: Path, repo: Repo) -> None:
    file = tmp_path / "open"
    file.write_text("secret-text")
    file.chmod(0o644)
    serve = ("deploy", "serve", "--repository", str(repo.bare), "--redis-url")
    for words, said in (
        ((*serve, "http://x"), "--redis-url: expected redis://HOST:PORT/DATABASE"),
        ((*serve, "redis://127.0.0.1:1", "--listen", "0.0.0.0:0"), "expected a --token-file beyond loopback"),
        ((*serve, "redis://127.0.0.1:1", "--token-file", str(file)), "that only its owner can read (chmod 600), found mode 644"),
        ((*serve, "redis://127.0.0.1:1", "--env", "NO_SUCH_VARIABLE"), "--env NO_SUCH_VARIABLE: expected it"),
        (("deploy", "hook", "--secret-file", str(file)), "found mode 644"),
    ):  # fmt: skip
        done = windtunnel(*words)
        assert (done.returncode, said in done.stderr) == (2, True), done.stderr
    done = windtunnel(*serve, "redis://127.0.0.1:1", "--listen", "127.0.0.1:0", "--dir", str(tmp_path / "d"))
    assert done.returncode == 4
    assert "a backend failed: ConnectionError" in done.stderr
    assert "secret-text" not in done.stderr


def test_a_hook_that_is_not_ours_is_left_alone(tmp_path: Path, repo: Repo) -> None:
    file = tmp_path / "secret"
    file.write_text("a secret of ours")
    file.chmod(0o600)
    words = ("deploy", "hook", "--secret-file", str(file), "--repository", str(repo.bare))
    shown = windtunnel(*words)
    assert shown.stdout.startswith("#!/bin/sh\n")
    assert "a secret of ours" not in shown.stdout
    assert windtunnel(*words, "--install").returncode == 0
    assert windtunnel(*words, "--install").returncode == 0, "ours is written anew"
    hook = repo.bare / "hooks" / "post-receive"
    assert hook.read_text() == shown.stdout
    repo.commit(pipeline("true"))
    assert "is away" in repo.push(), "a push succeeds without a build server"
    assert git(repo.bare, "rev-parse", "master") == git(repo.clone, "rev-parse", "HEAD")
    hook.write_text("#!/bin/sh\necho mine\n")
    refused = windtunnel(*words, "--install")
    assert (refused.returncode, "that is not ours" in refused.stderr) == (2, True)
