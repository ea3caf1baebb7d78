// Records the microphone in slices of 100 ms, sends them by WebSocket, shows who hears it.
"use strict";
const main = document.getElementById("live");
const words = JSON.parse(main.dataset.words);
const csrf = document.querySelector('meta[name="csrf-token"]').content;
const $ = (id) => document.getElementById(id);
const talk = $("talk");
const KINDS = [
  ["webm", "audio/webm;codecs=opus"],
  ["mp4", "audio/mp4;codecs=mp4a.40.2"],
  ["mp4", "audio/mp4"],
];
const SLICE_MS = 100;
const BITS_PER_SECOND = 48000;
const AGAIN_MS = 300; // the server waits five seconds for a lost microphone
const GIVE_UP_MS = 8000;
const SLOW_BYTES = 16000;
const QUIET_AFTER_MS = 4000;
const QUIET_LEVEL = 0.05;
const OVER = 4001;
const REPLACED = 4002;

let live = null; // the announcement of this page while it lasts

const fill = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name]);
const clock = (seconds) => Math.floor(seconds / 60) + ":" + String(Math.floor(seconds % 60)).padStart(2, "0");

function show(key, mood) {
  $("state").textContent = words[key] || key;
  $("state").className = "state " + (mood || "");
}

function warn(key) {
  $("warning").textContent = words[key];
  $("warning").hidden = false;
  talk.disabled = true;
}

function kind() {
  return KINDS.find(([, type]) => window.MediaRecorder && MediaRecorder.isTypeSupported(type));
}

async function call(method, path, body) {
  const answer = await fetch(path, {
    method,
    headers: { "Content-Type": "application/json", "X-CSRF-Token": csrf },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  if (answer.status === 401) location.reload();
  const said = await answer.json();
  if (!answer.ok) throw new Error(said.message[document.documentElement.lang]);
  return said;
}

function asked() {
  const [what, name] = $("whom").value.split(/:(.*)/s);
  const whom = what === "group" ? { groups: [name] } : what === "box" ? { devices: [name] } : { all: true };
  return { speaker: $("speaker").value.trim(), max_minutes: Number($("minutes").value), ...whom };
}

async function start() {
  if (!$("speaker").value.trim()) {
    show("no_speaker", "warn");
    $("speaker").focus();
    return;
  }
  remember();
  const mine = (live = { kind: kind(), wanted: true, endsAt: 0, heardAt: Date.now() });
  busy(true);
  show("opening");
  try {
    // The microphone first: no programme is cut for one that the browser refuses.
    mine.sound = await navigator.mediaDevices.getUserMedia({
      audio: { channelCount: 1, noiseSuppression: true, autoGainControl: true, echoCancellation: true },
    });
  } catch (error) {
    finish(error.name === "NotFoundError" ? "no_microphone" : "denied", "bad");
    return;
  }
  if (live !== mine) return mine.sound.getTracks().forEach((track) => track.stop());
  mine.sound.getTracks()[0].addEventListener("ended", stop);
  meter(mine);
  try {
    const opened = await call("POST", "/api/v1/live", asked());
    mine.path = "/api/v1/live/" + opened.id;
    mine.microphone = opened.microphone;
    tell(opened);
  } catch (error) {
    finish(error instanceof TypeError ? words.unreachable : fill(words.failed, { detail: error.message }), "bad");
    return;
  }
  if (live !== mine) return void call("POST", mine.path + "/stop").catch(() => {});
  keepAwake(mine);
  connect(mine);
}

function connect(mine) {
  const address = location.origin.replace(/^http/, "ws") + mine.microphone + "?type=" + mine.kind[0];
  const line = (mine.line = new WebSocket(address));
  line.onopen = () => {
    if (live !== mine) return line.close();
    mine.lostAt = 0;
    record(mine, line);
  };
  line.onmessage = (message) => live === mine && tell(JSON.parse(message.data));
  line.onclose = (closed) => {
    if (mine.recorder && mine.recorder.state !== "inactive") mine.recorder.stop();
    if (live !== mine) return;
    if (closed.code === REPLACED) return finish("ended.replaced", "warn");
    if (closed.code === OVER || !mine.wanted) return finish("ended." + (mine.reason || "stopped"), ended(mine));
    mine.lostAt = mine.lostAt || Date.now();
    if (Date.now() - mine.lostAt > GIVE_UP_MS) return finish("ended.microphone", "bad");
    show("lost", "bad");
    setTimeout(() => live === mine && connect(mine), AGAIN_MS);
  };
}

const ended = (mine) => ((mine.reason || "stopped") === "stopped" ? "" : "bad");

function record(mine, line) {
  const recorder = (mine.recorder = new MediaRecorder(mine.sound, {
    mimeType: mine.kind[1],
    audioBitsPerSecond: BITS_PER_SECOND,
  }));
  recorder.ondataavailable = (slice) => {
    if (slice.data.size && line.readyState === WebSocket.OPEN) line.send(slice.data);
  };
  recorder.onstop = () => {
    if (!mine.wanted && line.readyState === WebSocket.OPEN) line.send("stop");
  };
  recorder.start(SLICE_MS);
}

function stop() {
  const mine = live;
  if (!mine || !mine.wanted) return;
  mine.wanted = false;
  talk.disabled = true;
  if (mine.recorder && mine.recorder.state !== "inactive") mine.recorder.stop();
  setTimeout(() => {
    if (live !== mine) return;
    if (mine.path) call("POST", mine.path + "/stop").catch(() => {});
    finish("ended.stopped");
  }, mine.recorder ? 2500 : 0);
}

function tell(said) {
  const mine = live;
  if (said.reason) mine.reason = said.reason;
  mine.endsAt = Date.now() + said.left_s * 1000;
  mine.listening = said.listening;
  $("hears").textContent = fill(words.hears, said);
  if (said.state === "ended") return;
  if (mine.line && mine.line.bufferedAmount > SLOW_BYTES) show("slow", "warn");
  else if (!said.listening) show(said.state === "waiting" ? "opening" : "calling");
  else if (Date.now() - mine.heardAt > QUIET_AFTER_MS) show("quiet", "warn");
  else show("speak", "good");
}

function finish(text, mood) {
  const mine = live;
  live = null;
  if (mine) {
    if (mine.recorder && mine.recorder.state !== "inactive") mine.recorder.stop();
    if (mine.line) mine.line.close();
    if (mine.sound) mine.sound.getTracks().forEach((track) => track.stop());
    if (mine.context) mine.context.close();
    if (mine.awake) mine.awake.release().catch(() => {});
  }
  $("level").value = 0;
  $("hears").textContent = $("left").textContent = "";
  busy(false);
  show(text, mood);
}

function busy(yes) {
  talk.textContent = yes ? words.stop : words.start;
  talk.setAttribute("aria-pressed", String(yes));
  talk.disabled = false;
  $("choices").disabled = yes;
}

function meter(mine) {
  const context = (mine.context = new AudioContext());
  const analyser = context.createAnalyser();
  context.createMediaStreamSource(mine.sound).connect(analyser);
  const samples = new Float32Array(analyser.fftSize);
  const timer = setInterval(() => { // not by animation frame, which stands still on a dark screen
    if (live !== mine) return clearInterval(timer);
    analyser.getFloatTimeDomainData(samples);
    const power = samples.reduce((sum, value) => sum + value * value, 0) / samples.length;
    const level = Math.max(0, 1 + Math.log10(power + 1e-12) / 6); // -60 dBFS is 0, full scale is 1
    if (level > QUIET_LEVEL) mine.heardAt = Date.now();
    $("level").value = level;
  }, 50);
}

function keepAwake(mine) {
  if (!navigator.wakeLock) return;
  navigator.wakeLock.request("screen").then((awake) => (mine.awake = awake), () => {});
}

function remember() {
  try { localStorage.setItem("speaker", $("speaker").value.trim()); } catch (error) { /* private window */ }
}

function recall() {
  try { $("speaker").value = localStorage.getItem("speaker") || ""; } catch (error) { /* private window */ }
}

async function others() {
  const said = await call("GET", "/api/v1/live").catch(() => ({ live: [] }));
  const list = said.live.filter((one) => !live || live.path !== "/api/v1/live/" + one.id);
  $("others").hidden = list.length === 0;
  $("others").querySelector("ul").replaceChildren(...list.map((one) => {
    const row = document.createElement("li");
    const button = document.createElement("button");
    row.textContent = fill(words.other, { speaker: one.speaker, time: clock(one.left_s) });
    button.textContent = words.stop;
    button.onclick = () => call("POST", "/api/v1/live/" + one.id + "/stop").catch(() => {}).then(others);
    row.append(button);
    return row;
  }));
}

if (talk) {
  recall();
  show("idle");
  talk.addEventListener("click", () => (live ? stop() : start()));
  setInterval(() => {
    if (live && live.endsAt) {
      $("left").textContent = fill(words.left, { time: clock(Math.max(0, (live.endsAt - Date.now()) / 1000)) });
    }
  }, 250);
  setInterval(others, 5000);
  others();
  window.addEventListener("beforeunload", (event) => {
    if (!live) return;
    event.preventDefault();
    event.returnValue = words.leave;
  });
  if (!window.isSecureContext || !navigator.mediaDevices) warn("insecure");
  else if (!kind()) warn("unsupported");
}
