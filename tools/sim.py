"""`make sim`: a server and a simulated box that stay up and keep what they have in `build/sim`.

For trying the console, a driver or a fault by hand; `make demo` is the guided tour.
"""

from __future__ import annotations

import argparse
import os
import sys
import time

from agent.model.text import say
from tools.api import ApiError
from tools.rig import TOP, Rig, RigError, console_link, start_box, start_server, stop_on_signals


def main() -> int:
    parser = argparse.ArgumentParser(prog="tools.sim", description=(__doc__ or "").splitlines()[0])
    # Fixed ports, because the box remembers where its server is.
    parser.add_argument("--port", type=int, default=18080, help="of the server, on loopback")
    parser.add_argument("--broker-port", type=int, default=18083, help="of the broker, on loopback")
    parser.add_argument("--sound", action="store_true", default=os.environ.get("SOUND", "") not in {"", "0"})
    chosen = parser.parse_args()
    stop_on_signals()
    folder = TOP / "build" / "sim"
    folder.mkdir(parents=True, exist_ok=True)
    with Rig(folder) as rig:
        try:
            api = start_server(rig, f"127.0.0.1:{chosen.port}", f"127.0.0.1:{chosen.broker_port}")
            print(say("demo.server_up", url=api.url), flush=True)
            code = (
                None
                if api.get("/api/v1/boxes")["boxes"]
                else str(api.post("/api/v1/enrolment-codes", {})["code"])
            )
            box = start_box(rig, api.url, code, listen=chosen.sound)
            print(say("demo.console", url=console_link(api)))
            print(say("demo.files"))
            for name in ("speaker.wav", "board.png", "amplifier.jsonl", "faults.toml", "config.toml"):
                print(f"  {box / name}")
            for name in ("server", "box"):
                print(f"  {rig.log(name)}")
            print(say("demo.stop_hint"), flush=True)
            while True:
                rig.check()
                time.sleep(0.5)
        except (ApiError, RigError, OSError) as error:
            print(say("demo.failed", problem=error), file=sys.stderr)
            print(rig.log_tails(), file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            print()
            return 0


if __name__ == "__main__":
    sys.exit(main())
