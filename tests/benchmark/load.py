"""Load a server with wrk, which is written in C, so it is never the bottleneck."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

CONNECTIONS, THREADS = 16, 2

SCRIPT = """
local threads = {}
function setup(thread)
  thread:set("number", #threads)
  table.insert(threads, thread)
end

wrong, at, bodies = 0, 0, {}
function init()
  math.randomseed(os.time() + number)
  local name = os.getenv("BODIES")
  if name then
    for line in io.lines(name .. number) do table.insert(bodies, line) end
  end
end
if os.getenv("BODIES") then
  function request()
    at = at + 1
    wrk.headers["X-Forwarded-For"] = string.format("10.%d.%d.%d", math.random(0, 255), math.random(0, 255), number)
    return wrk.format("POST", nil, nil, bodies[at])
  end
end
function response(status)
  if status ~= tonumber(os.getenv("STATUS")) then wrong = wrong + 1 end
end
function done(summary, latency)
  local failed = summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout
  for _, thread in ipairs(threads) do failed = failed + thread:get("wrong") end
  io.write(string.format('{"requests": %d, "microseconds": %d, "p99": %f, "errors": %d}\\n', summary.requests,
    summary.duration, latency:percentile(99) / 1000, failed))
end
"""
"""Lua for wrk. A response with an unexpected status is an error, and so is a missing one."""


@dataclass(frozen=True)
class Load:
    """The result of one round: responses per second, and the 99th percentile in milliseconds."""

    rate: float
    p99: float
    requests: int
    errors: int


def drive(url: str, seconds: int, headers: Mapping[str, str], status: int, bodies: Iterable[str] = ()) -> Load:
    """Request `url` repeatedly and expect `status`; with `bodies`, POST each of them once."""
    with tempfile.TemporaryDirectory() as directory:
        script, environment = Path(directory, "script.lua"), {"STATUS": str(status)}
        script.write_text(SCRIPT)
        if forms := list(bodies):
            environment["BODIES"] = f"{directory}/forms"
            for thread in range(THREADS):
                Path(directory, f"forms{thread}").write_text("\n".join(forms[thread::THREADS]))
        command = ["wrk", f"-t{THREADS}", f"-c{CONNECTIONS}", f"-d{seconds}s", "--timeout=30s", f"-s{script}"]
        command += [argument for name, value in headers.items() for argument in ("-H", f"{name}: {value}")]
        said = subprocess.run([*command, url], env=environment, capture_output=True, text=True, check=True)
    found = json.loads(said.stdout.splitlines()[-1])
    return Load(found["requests"] / found["microseconds"] * 1e6, found["p99"], found["requests"], found["errors"])
