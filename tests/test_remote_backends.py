"""The openai and anthropic backends through the real SDKs: sampling, faults, pace, keys; no test can spend money."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import time
from itertools import islice

import orjson
import pytest
from servers.http import Reply, json_reply
from servers.provider import Provider, ProviderServer

from prefbench.backends import Request, Sampling, Treatment, open_backend
from prefbench.backends.remote.faults import redact
from prefbench.backends.remote.pace import Pace
from prefbench.errors import BackendError, ConfigError
from prefbench.records import RecordKey

pytest.importorskip("openai", reason="needs the SDK: pip install 'prefbench[openai]'")
pytest.importorskip("anthropic", reason="needs the SDK: pip install 'prefbench[anthropic]'")

PROVIDERS = ("openai", "anthropic")


def open_at(name: str, server: ProviderServer, **options):
    url = server.url + ("/v1" if name == "openai" else "")
    return open_backend(name, "local-model", options={"base_url": url, "first_delay": 0.02, **options})


def request(number: int, *, n: int = 1, temperature: float = 0.7, **rest) -> Request:
    return Request(
        key=RecordKey("d", f"p{number}", temperature),
        prompt=f"Prompt number {number}?",
        n=n,
        seed=1000 * number,
        sampling=Sampling(temperature, 0.95, 50, ("\n\n",)),
        treatment=Treatment("c", system_prompt="Be plain."),
        tag=f"p{number}",
        **rest,
    )


def said(prompt: str) -> str:
    return f"answer to {prompt}"


def status(number: int, message: str = "no", headers: dict[str, str] | None = None, **error: str):
    body = {"type": "error", "error": {"type": "x", "message": message, **error}}
    return lambda _: json_reply(body, number, headers=headers or {})


# no money


@pytest.mark.parametrize("name", PROVIDERS)
def test_no_test_can_reach_a_service_that_costs_money(name, monkeypatch):
    assert not any(os.environ[key] for key in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"))
    with pytest.raises(OSError, match="nothing but this machine"):
        socket.create_connection(("203.0.113.7", 443), timeout=1)
    backend = open_backend(name, "m", options={})
    assert backend.base_url == "http://127.0.0.1:9"
    monkeypatch.delenv(backend.url_variable)
    with pytest.raises(ConfigError, match=f"no key .*{backend.key_variables[0]}"):
        list(open_backend(name, "m", options={}).generate([request(1)]))
    script = (
        "from prefbench.backends import Request, Sampling, Treatment, open_backend\n"
        f"b = open_backend({name!r}, 'm', options=dict(first_delay=.01, sampling=False))\n"
        "from prefbench.records import RecordKey as K\n"
        "r = Request(K('d','i',1.0), 'p', 1, 0, Sampling(1.0, 1.0, 5), Treatment('c'))\n"
        "print(list(b.generate([r])))"
    )
    environment = os.environ | {backend.key_variables[0]: "sk-" + "z" * 30}
    environment.pop(backend.url_variable, None)
    found = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False
    )
    assert "cannot reach https://api." in found.stderr
    assert "zzz" not in found.stdout + found.stderr


# sampling


@pytest.mark.parametrize("name", PROVIDERS)
def test_every_prompt_gets_its_n_answers(name):
    with ProviderServer(Provider(answer=said)) as server:
        done = list(open_at(name, server).generate(request(number, n=3) for number in range(20)))
    assert {each.request.key.id for each in done} == {f"p{number}" for number in range(20)}
    for each in done:
        assert [output.text for output in each.outputs] == [f"answer to {each.request.prompt}"] * 3
        assert {output.finish_reason for output in each.outputs} == {"stop"}
        assert each.usage.output_tokens == sum(output.tokens for output in each.outputs)
    calls = server.provider.calls
    assert len(calls) == (20 if name == "openai" else 60)
    body = next(call for call in calls if call["messages"][-1]["content"] == "Prompt number 3?")
    assert (body["temperature"], body["top_p"], body["max_tokens"]) == (0.7, 0.95, 50)


def test_openai_sends_seed_and_asks_again_where_a_server_ignores_n():
    provider = Provider(answer=said)
    whole = provider.reply

    def one_choice(path, body):
        return whole(path, {**body, "n": 1})

    provider.reply = one_choice
    with ProviderServer(provider) as server:
        (done,) = open_at("openai", server).generate([request(2, n=3)])
    assert len(done.outputs) == 3
    assert [(call.get("n"), call["seed"]) for call in provider.calls] == [(3, 2000), (2, 2001), (1, 2002)]


def test_a_schema_goes_to_each_provider_in_its_own_way():
    schema = {"type": "object", "properties": {"maxLength": {"type": "string", "maxLength": 5}}}
    bodies = {}
    for name in PROVIDERS:
        with ProviderServer(Provider(answer=said)) as server:
            list(open_at(name, server, effort="low").generate([request(1, schema=schema)]))
        (bodies[name],) = server.provider.calls
    assert bodies["openai"]["response_format"]["json_schema"]["schema"] == schema
    assert bodies["openai"]["reasoning_effort"] == "low"
    assert bodies["anthropic"]["output_config"] == {
        "effort": "low",
        "format": {"type": "json_schema", "schema": schema},
    }
    assert bodies["anthropic"]["system"][0]["cache_control"] == {"type": "ephemeral"}


@pytest.mark.parametrize("name", PROVIDERS)
def test_the_official_services_get_only_the_keywords_and_parameters_that_they_take(name, monkeypatch):
    backend = open_backend(name, "m", options={"sampling": False})
    monkeypatch.delenv(backend.url_variable)
    official = open_backend(name, "m", options={"sampling": False})
    schema = {"type": "object", "properties": {"maxLength": {"type": "string", "maxLength": 5}}}
    body = orjson.dumps(official.body(request(1, schema=schema))).decode()
    assert '"maxLength":{"type":"string"}' in body
    assert "temperature" not in body
    assert "seed" not in body


def test_a_model_that_takes_no_temperature_is_not_sampled_at_several(monkeypatch):
    monkeypatch.delenv("ANTHROPIC_BASE_URL")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "x" * 8)
    with pytest.raises(ConfigError, match="claude-sonnet-5-5 takes no temperature"):
        list(open_backend("anthropic", "claude-sonnet-5-5", options={}).generate([request(1)]))


def test_a_base_model_style_is_refused():
    backend = open_backend("openai", "m", options={})
    with pytest.raises(ConfigError, match="talks to chat models"):
        backend.identify(Treatment("c", prompt_style="completion"))


@pytest.mark.parametrize("name", PROVIDERS)
def test_sample_works_through_a_server(name, tmp_path):
    from prefbench.sample import sample_prompts

    with ProviderServer(Provider(answer=said)) as server:
        url = server.url + ("/v1" if name == "openai" else "")
        report = sample_prompts(
            tmp_path,
            model="local-model",
            backend=name,
            backend_options={"base_url": url},
            domains=["aesthetic_preference"],
            limit=3,
            n_samples=2,
            temps=[0.7, 1.0],
        )
    assert [each.written for each in report.conditions] == [6]


# faults


@pytest.mark.parametrize("name", PROVIDERS)
@pytest.mark.parametrize(
    "fault",
    [
        status(429),
        status(429, headers={"retry-after": "0.05"}),
        status(429, headers={"retry-after-ms": "30"}),
        status(500),
        status(529, "Overloaded"),
        status(503),
        lambda _: Reply(b'{"id": "x", "choices": [', 200),
        lambda _: Reply(b"<html>gateway</html>", 200, content_type="text/html"),
        lambda _: Reply(b'{"id": "chatcmpl-1", "object": "chat.completion"}', hang_up=True),
        lambda _: Reply(no_answer=True),
        lambda _: Reply(b"{}", delay=3),
    ],
    ids=[
        "429",
        "retry-after",
        "retry-after-ms",
        "500",
        "529",
        "503",
        "broken-json",
        "html",
        "half-closed",
        "closed",
        "slow",
    ],
)
def test_a_passing_fault_is_tried_again_and_nothing_is_lost(name, fault):
    with ProviderServer(Provider(answer=said, faults=[None, fault, fault, None, fault])) as server:
        done = list(open_at(name, server, timeout=0.5).generate(request(number) for number in range(6)))
    assert sorted(each.request.key.id for each in done) == [f"p{number}" for number in range(6)]
    assert all(each.error is None and each.outputs for each in done)


def test_retry_after_is_honoured_by_every_call():
    faults = [None, status(429, headers={"retry-after": "0.6"})]
    with ProviderServer(Provider(answer=said, faults=faults)) as server:
        list(open_at("openai", server).generate(request(number) for number in range(6)))
    times = server.provider.times
    limited = times[1]
    later = [at for at in times if at > limited + 0.1]
    assert len(later) >= 4
    assert min(later) - limited >= 0.55


def test_rate_limits_shrink_the_number_of_calls_and_server_faults_do_not():
    levels = {}
    for number in (429, 500):
        fault = status(number, headers={"retry-after": "0"} if number == 429 else None)
        faults = [*[None] * 60, fault, fault, fault]
        with ProviderServer(Provider(answer=said, latency=0.2, faults=faults)) as server:
            list(open_at("openai", server, concurrency=16).generate(map(request, range(130))))
        assert max(server.provider.levels[40:60]) == 16
        levels[number] = max(server.provider.levels[85:100])
    assert levels[500] == 16
    assert levels[429] < 14


@pytest.mark.parametrize("name", PROVIDERS)
@pytest.mark.parametrize(
    ("fault", "named"),
    [
        (status(401, "invalid x-api-key"), "refused the key .*API_KEY"),
        (status(403, "forbidden"), "refused the key"),
        (status(404, "model: local-model"), "does not know model 'local-model'.*--model"),
        (status(402, "pay"), "no credit left"),
        (status(400, "Your credit balance is too low to access the API"), "no credit left"),
        (status(429, "You exceeded your current quota", code="insufficient_quota"), "no credit left"),
    ],
)
def test_a_fault_of_every_call_is_one_clear_line(name, fault, named):
    provider = Provider(answer=said, faults=[fault] * 100)
    with ProviderServer(provider) as server, pytest.raises(BackendError, match=named) as caught:
        list(open_at(name, server).generate(request(number) for number in range(50)))
    assert "\n" not in str(caught.value)
    assert len(provider.times) == 1


@pytest.mark.parametrize("name", PROVIDERS)
def test_no_network_is_one_clear_line_soon(name):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    backend = open_backend(name, "m", options={"base_url": f"http://127.0.0.1:{port}", "first_delay": 0.02})
    started = time.monotonic()
    with pytest.raises(BackendError, match=f"cannot reach http://127.0.0.1:{port}"):
        list(backend.generate([request(1), request(2)]))
    assert time.monotonic() - started < 10


def test_a_server_that_goes_down_half_way_ends_the_run_instead_of_failing_every_item():
    provider = Provider(answer=said)
    with ProviderServer(provider) as server:
        backend = open_at("openai", server, first_delay=0.001)
        done: list = []
        stream = backend.generate(request(number) for number in range(500))
        done.extend(islice(stream, 30))
        provider.faults = iter([status(500)] * 100_000)
        with pytest.raises(BackendError, match="what is finished is kept"):
            done.extend(stream)
    assert len(done) < 100
    assert sum(each.error is None for each in done) >= 30


@pytest.mark.parametrize("name", PROVIDERS)
def test_a_refused_item_is_its_own_fault_and_a_long_one_is_told_apart(name):
    too_long = status(400, "prompt is too long: 9 tokens > 8 maximum")
    faults = [None, status(400, "unsupported value"), too_long, status(413, "request_too_large")]
    with ProviderServer(Provider(answer=said, faults=faults)) as server:
        done = list(open_at(name, server, concurrency=1).generate(request(number) for number in range(5)))
    assert [each.fault for each in done] == [None, "refused", "overflow", "overflow", None]
    assert "unsupported value" in done[1].error


def test_a_request_that_is_refused_every_time_ends_the_run():
    provider = Provider(answer=said, faults=[status(400, "unsupported parameter")] * 500)
    told = pytest.raises(BackendError, match=r"every call is refused: .*unsupported parameter")
    with ProviderServer(provider) as server, told:
        list(open_at("openai", server).generate(request(number) for number in range(300)))
    assert len(provider.times) < 20


def test_a_consumer_that_stops_early_stops_the_calls():
    with ProviderServer(Provider(answer=said, latency=0.01)) as server:
        stream = open_at("openai", server).generate(request(number) for number in range(100_000))
        for _ in range(5):
            next(stream)
        stream.close()
        sent = len(server.provider.times)
        time.sleep(0.2)
        assert len(server.provider.times) <= sent + 1


def test_a_fault_of_the_requests_themselves_is_raised_as_it_is():
    def requests():
        yield request(1)
        raise ZeroDivisionError("bug")

    with ProviderServer(Provider(answer=said)) as server, pytest.raises(ZeroDivisionError, match="bug"):
        list(open_at("openai", server).generate(requests()))


def test_it_works_inside_a_running_loop():
    async def in_a_notebook(server):
        return list(open_at("openai", server).generate([request(1)]))

    async def left_early(server):
        stream = open_at("openai", server).generate(request(number) for number in range(100_000))
        next(stream)
        stream.close()

    with ProviderServer(Provider(answer=said, latency=0.01)) as server:
        assert len(asyncio.run(in_a_notebook(server))) == 1
        asyncio.run(left_early(server))
        sent = len(server.provider.times)
        time.sleep(0.2)
        assert len(server.provider.times) <= sent + 1


# keys


@pytest.mark.parametrize("name", PROVIDERS)
def test_the_key_goes_to_the_server_and_into_no_message(name, monkeypatch):
    key = "sk-secret-0123456789"
    backend_class = type(open_backend(name, "m", options={}))
    monkeypatch.setenv(backend_class.key_variables[0], key)
    fault = status(401, f"Incorrect API key provided: {key}; Authorization: Bearer {key}")
    with ProviderServer(Provider(answer=said, faults=[None, fault])) as server:
        backend = open_at(name, server)
        with pytest.raises(BackendError) as caught:
            list(backend.generate([request(1), request(2)]))
    assert any(key in sent for sent in server.provider.keys)
    told = f"{caught.value} {caught.value.__cause__} {backend.describe()} {backend.identify(Treatment('c'))}"
    assert "secret" not in told


def test_what_looks_like_a_key_is_taken_out():
    assert redact("bad sk-proj-abc***xyz1 key\nBearer aa.bb") == "bad [key] key Bearer [key]"
    assert len(redact("x" * 5000)) == 300


@pytest.mark.parametrize("option", ["api_key", "api-key", "key", "auth_token"])
def test_a_key_as_an_option_is_refused_without_being_shown(option):
    with pytest.raises(ConfigError, match="environment only") as caught:
        open_backend("openai", "m", options={option: "sk-secret"})
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "localhost:8000",
        "ftp://x",
        "http://",
        "http://user:sk-secret@host/v1",
        "http://host/v1?key=sk-secret",
        "http://host:port",
    ],
)
def test_a_base_url_that_could_hold_a_key_or_names_no_host_is_refused(url):
    with pytest.raises(ConfigError, match="base URL") as caught:
        open_backend("openai", "m", options={"base_url": url})
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"concurrency": 0}, "1 or more"),
        ({"timeout": 0}, "timeout"),
        ({"concurency": 3}, "did you mean 'concurrency'"),
    ],
)
def test_a_wrong_option_is_named(options, named):
    for name in PROVIDERS:
        with pytest.raises(ConfigError, match=named):
            open_backend(name, "m", options=options)


# pace


def test_the_pace_doubles_a_round_then_halves_once_a_burst_and_grows_by_one_a_round():
    async def run():
        pace = Pace(64)
        limits = []
        for _ in range(5):
            for _ in range(pace.limit):
                pace.speed_up()
            limits.append(pace.limit)
        assert limits == [2, 4, 8, 16, 32]
        entered = [await pace.enter() for _ in range(32)]
        for each in entered:
            pace.slow_down(each, 0.0, otherwise=0.0)
            pace.leave()
        assert pace.limit == 16
        for _ in range(16):
            pace.speed_up()
        assert pace.limit == 17
        pace.slow_down(await pace.enter(), None, otherwise=0.05)
        assert pace.limit == 8
        started = time.monotonic()
        await pace.enter()
        assert time.monotonic() - started >= 0.04

    asyncio.run(run())


def test_no_more_calls_are_under_way_than_asked_for_and_as_many_as_that():
    with ProviderServer(Provider(answer=said, latency=0.05)) as server:
        list(open_at("openai", server, concurrency=20).generate(request(number) for number in range(200)))
    assert server.provider.most_under_way == 20


def test_a_cancelled_wait_hands_its_place_on():
    async def run():
        pace = Pace(1)
        await pace.enter()
        first, second = asyncio.create_task(pace.enter()), asyncio.create_task(pace.enter())
        await asyncio.sleep(0)
        pace.leave()
        first.cancel()
        assert await asyncio.wait_for(second, 1) == 0

    asyncio.run(run())
