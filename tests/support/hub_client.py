"""A process of its own in which the Hub's client is online and knows the stand-in Hub only."""

import json
import os
import subprocess
import sys
import time

from tests.support.hub_server import Hub

_CALLS = """
import importlib, json, os, sys, time
from dataclasses import asdict, is_dataclass
from pathlib import Path
from bimotion.data.source import CorpusSource
from bimotion.errors import BimotionError
time.sleep = lambda seconds: None  # the client waits half a minute before it gives up
for line in sys.stdin:
    call = json.loads(line)
    os.environ.pop("HF_TOKEN", None)
    os.environ |= call["environment"]
    try:
        function = getattr(importlib.import_module(call["module"]), call["function"])
        if "source" in call["options"]:  # of CorpusSource, the root
            call["options"]["source"] = CorpusSource.of(call["options"]["source"])
        value = function(*call["args"], **call["options"])
        answer = {"value": asdict(value) if is_dataclass(value) else value}
    except BimotionError as error:
        answer = {"error": str(error), "kind": type(error).__name__}
    print("ANSWER", json.dumps(answer, default=str), flush=True)
"""


class Refused(Exception):
    """The failure of a call: a BimotionError's text. Anything else ends the process."""


class Client:
    """A process in which our functions are called; `output` is all that it wrote."""

    def __init__(self, hub: Hub, home, **environment: str) -> None:
        inherited = {
            name: value for name, value in os.environ.items() if not name.startswith("HF_")
        }
        inherited |= {
            "HF_HOME": str(home),
            "HF_HUB_DISABLE_XET": "1",
            "HF_ENDPOINT": hub.url,
            "NO_PROXY": "127.0.0.1",
        }
        self.output: list[str] = []
        self.process = subprocess.Popen(
            [sys.executable, "-c", _CALLS],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=inherited | environment,
        )

    def ask(
        self, module: str, function: str, *args, token: str | None = "hf_writer", **options
    ) -> None:
        """Begin a call without waiting for its end."""
        environment = {"HF_TOKEN": token} if token else {}
        if "source" in options:
            options["source"] = options["source"].root
        asked = {
            "module": module,
            "function": function,
            "args": args,
            "options": options,
            "environment": environment,
        }
        self.process.stdin.write(json.dumps(asked, default=str) + "\n")
        self.process.stdin.flush()

    def call(self, module: str, function: str, *args, token: str | None = "hf_writer", **options):
        """Value of `module.function(...)`; raises Refused."""
        self.ask(module, function, *args, token=token, **options)
        for line in self.process.stdout:
            self.output.append(line)
            if line.startswith("ANSWER "):
                answer = json.loads(line.removeprefix("ANSWER "))
                if "error" in answer:
                    raise Refused(f"{answer['kind']}: {answer['error']}")
                return answer["value"]
        raise AssertionError("the client died:\n" + "".join(self.output))

    def close(self) -> None:
        self.process.stdin.close()
        self.output += self.process.stdout.readlines()
        self.process.wait(timeout=600)


def wait_for(condition, seconds: float = 600) -> None:
    """Until the condition holds; AssertionError where it hangs."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)
