#!/usr/bin/env bash
# Makes the machine ready: system packages that are missing, then .venv. Repeats nothing, and touches
# no network when nothing is missing.
set -euo pipefail
cd "$(dirname "$0")/.."

list=tools/apt-packages.txt
stamp=.make/venv

say() { printf 'install: %s\n' "$*"; }
die() { printf 'install: %s\n' "$*" >&2; exit 1; }

is_installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }
# grep reads all of it: with `grep -q` and pipefail, apt-cache dying of a closed pipe meant "unknown".
is_known() { LC_ALL=C apt-cache policy "$1" 2>/dev/null | grep 'Candidate: [^(]' >/dev/null; }

# Each line of the list as its alternative names only.
wanted() { sed -E 's/#.*//; /^[[:space:]]*$/d' "$list" | sed -E 's/  +.*//; s/ *\| */ /g'; }

missing_lines() {
  local names name
  while read -r names; do
    for name in $names; do is_installed "$name" && continue 2; done
    printf '%s\n' "$names"
  done < <(wanted)
}

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"
  elif command -v sudo >/dev/null; then sudo "$@"
  else die "not root and no sudo; as root run: $*"
  fi
}

system_packages() {
  if ! command -v dpkg-query >/dev/null; then
    local tool
    for tool in mosquitto espeak-ng ffmpeg; do
      command -v "$tool" >/dev/null || PATH=$PATH:/usr/sbin:/sbin command -v "$tool" >/dev/null ||
        die "this is no Debian; install what $list names ($tool is missing)"
    done
    return
  fi
  local missing had_mosquitto=yes names name found packages=()
  missing=$(missing_lines)
  [ -n "$missing" ] || return 0
  is_installed mosquitto || had_mosquitto=no
  say "missing system packages: $(tr '\n' ' ' <<<"$missing")"
  as_root apt-get update -qq
  while read -r names; do
    found=
    for name in $names; do
      if is_known "$name"; then found=$name; break; fi
    done
    [ -n "$found" ] || die "apt knows no package named: $names"
    packages+=("$found")
  done <<<"$missing"
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
  # The server starts its own broker. The package's service, which we brought along, would only hold port 1883.
  if [ "$had_mosquitto" = no ]; then
    if [ -d /run/systemd/system ]; then
      as_root systemctl disable --now mosquitto.service >/dev/null 2>&1 || say "could not stop mosquitto.service"
    elif [ -x /etc/init.d/mosquitto ]; then
      as_root /etc/init.d/mosquitto stop >/dev/null 2>&1 || true # it was never started
    fi
  fi
  say "system packages installed: ${packages[*]}"
}

# Prints the newest suitable interpreter. 3.13 is what boxes run.
system_python() {
  local candidate
  for candidate in python3.13 python3.12 python3.11 python3 python3.14; do
    if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      command -v "$candidate"
      return
    fi
  done
  die "needs Python 3.11 or newer"
}

make_venv() {
  local python
  python=$(system_python)
  say "making .venv with $("$python" --version) ($python)"
  if ! "$python" -m venv .venv 2>/dev/null; then
    # An interpreter without ensurepip: Debian's versioned one, whose venv package is separate.
    rm -rf .venv
    local package
    package="$(basename "$("$python" -c 'import sys; print("python%d.%d" % sys.version_info[:2])')")-venv"
    command -v apt-get >/dev/null || die "$python cannot make environments; install its venv module"
    say "$python has no ensurepip; installing $package"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$package" >/dev/null
    "$python" -m venv .venv
  fi
}

# What the environment was made from: the declared packages, this script, the interpreter.
fingerprint() { cat pyproject.toml tools/install.sh <(.venv/bin/python --version 2>&1) <(pwd) | sha256sum | cut -d' ' -f1; }

python_packages() {
  if .venv/bin/python -c '' 2>/dev/null && [ "$(cat "$stamp" 2>/dev/null)" = "$(fingerprint)" ]; then return 0; fi
  .venv/bin/python -m pip --version >/dev/null 2>&1 || { rm -rf .venv; make_venv; }
  local pip=(.venv/bin/python -m pip --disable-pip-version-check -qq)
  # The build tool lives in .venv, so that a later change of pyproject.toml can be taken up offline.
  .venv/bin/python -c 'import hatchling, editables' 2>/dev/null || "${pip[@]}" install 'hatchling>=1.27' editables
  say "installing Python packages into .venv"
  mapfile -t requirements < <(.venv/bin/python - <<'PY'
import tomllib
project = tomllib.load(open("pyproject.toml", "rb"))["project"]
print(*dict.fromkeys(project["dependencies"] + sum(project["optional-dependencies"].values(), [])), sep="\n")
PY
  )
  "${pip[@]}" install "${requirements[@]}"
  "${pip[@]}" install --no-build-isolation --no-deps -e .
  mkdir -p .make
  fingerprint >"$stamp"
}

system_packages
python_packages
