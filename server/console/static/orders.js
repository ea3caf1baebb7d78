// Sends what an officer fills in to the server; every order carries an id of its own, so that a second
// press or a lost answer makes no second order.
"use strict";
const words = JSON.parse(document.body.dataset.words);
const language = document.documentElement.lang;
const csrf = document.querySelector('meta[name="csrf-token"]').content;

function request_id() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (one) => one.toString(16).padStart(2, "0")).join("");
}

// The id of a request: the same until it has succeeded or says something else, so that trying again after a
// lost answer makes no second order.
function asked_once() {
  let id = "", last = "";
  return {
    id_of(body) {
      const now = JSON.stringify(body);
      if (now !== last) [id, last] = [request_id(), now];
      return id;
    },
    done() { last = ""; },
  };
}

function say(output, text, good) {
  output.textContent = text;
  output.className = good === undefined ? "" : good ? "good" : "bad";
}

async function call(method, path, body, type = "application/json") {
  const headers = { "X-CSRF-Token": csrf };
  if (body !== undefined) headers["Content-Type"] = type;
  const sent = type === "application/json" && body !== undefined ? JSON.stringify(body) : body;
  let answer;
  try {
    answer = await fetch(path, { method, headers, body: sent });
  } catch (error) {
    throw new Error(words.failed);
  }
  if (answer.status === 401) { location.reload(); throw new Error(words.failed); }
  const said = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(said.message ? said.message[language] : words.failed);
  return said;
}

async function guarded(output, controls, work) {
  for (const one of controls) one.disabled = true;
  say(output, words.sending);
  try {
    say(output, (await work()) || words.sent, true);
    return true;
  } catch (error) {
    say(output, error.message, false);
    return false;
  } finally {
    for (const one of controls) one.disabled = false;
  }
}

async function refresh(id, path) {
  try {
    const answer = await fetch(`${path}?lang=${language}`);
    if (answer.ok) document.getElementById(id).innerHTML = await answer.text(); // escaped by the server
  } catch (error) { /* the next refresh tries again */ }
}
const refresh_in_force = () => refresh("in-force", "/console/orders/in-force");
const refresh_bulletins = () => refresh("bulletins", "/console/orders/bulletins");

function chosen_areas(form) {
  const checked = [...form.querySelectorAll("[data-area]:checked")];
  const of = (kind) => checked.filter((one) => one.dataset.area === kind).map((one) => one.value);
  return { all: of("all").length > 0, groups: of("group"), devices: of("device") };
}

function area_names(form) {
  return [...form.querySelectorAll("[data-area]:checked")].map((one) => one.parentElement.textContent.trim());
}

// --- emergency ---------------------------------------------------------------------------------------

const emergency = document.getElementById("emergency");
{
  const edit = emergency.querySelector(".edit");
  const confirm = emergency.querySelector(".confirm");
  const output = emergency.querySelector("output");
  const fields = emergency.elements;
  let prefilled = "";
  let draft = null;
  const asked = asked_once();

  const prefill = () => {
    const text = fields.event.selectedOptions[0].dataset.text;
    if (fields.text.value === prefilled) fields.text.value = text; // never over what somebody typed
    prefilled = text;
  };
  fields.event.addEventListener("change", prefill);
  prefill();

  const show = (reviewing) => { edit.hidden = reviewing; confirm.hidden = !reviewing; };

  emergency.addEventListener("submit", (event) => {
    event.preventDefault();
    const text = fields.text.value.trim();
    draft = {
      event: fields.event.value,
      level: fields.level.value,
      minutes: Number(fields.minutes.value),
      repeats: Number(fields.repeats.value),
      author: fields.author.value.trim(),
      // The untouched text of the library is left to the box, which has it recorded.
      parts: text && text !== prefilled ? [{ language: "vi", text }] : [],
      ...chosen_areas(emergency),
    };
    draft.request_id = asked.id_of(draft);
    const rows = [
      [fields.event.parentElement.firstChild.textContent, fields.event.selectedOptions[0].textContent],
      [emergency.querySelector(".areas legend").textContent, area_names(emergency).join("\n") || "–"],
      [fields.text.parentElement.firstChild.textContent, text || [words.own_message, prefilled].join("\n").trim()],
      [fields.minutes.parentElement.firstChild.textContent, fields.minutes.value],
      [fields.level.parentElement.firstChild.textContent, fields.level.selectedOptions[0].textContent],
    ];
    confirm.querySelector("dl").replaceChildren(...rows.flatMap(([name, value]) => {
      const dt = document.createElement("dt"), dd = document.createElement("dd");
      dt.textContent = name;
      dd.textContent = value;
      return [dt, dd];
    }));
    say(output, "");
    show(true);
    confirm.querySelector("[data-go]").focus();
  });
  confirm.querySelector("[data-back]").addEventListener("click", () => show(false));
  confirm.querySelector("[data-go]").addEventListener("click", async () => {
    const buttons = confirm.querySelectorAll("button");
    const sent = await guarded(output, buttons, async () => { await call("POST", "/api/v1/emergencies", draft); });
    if (sent) { asked.done(); emergency.reset(); prefilled = ""; prefill(); }
    if (sent) show(false);
    refresh_in_force();
  });
}

// --- ending --------------------------------------------------------------------------------------------

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-cancel], [data-withdraw]");
  if (!button) return;
  if (!button.classList.contains("armed")) { // a second press, so that no stray touch ends an alarm
    button.classList.add("armed");
    button.dataset.said = button.textContent;
    button.textContent = words.cancel_sure;
    setTimeout(() => { button.classList.remove("armed"); button.textContent = button.dataset.said; }, 5000);
    return;
  }
  const item = button.closest("li");
  const path = button.dataset.cancel
    ? `/api/v1/emergencies/${button.dataset.cancel}/cancel`
    : `/api/v1/bulletins/${button.dataset.withdraw}/cancel`;
  const body = button.dataset.clear ? { all_clear: {} } : {};
  await guarded(item.querySelector("output"), item.querySelectorAll("button"), async () => {
    await call("POST", path, body);
  });
  refresh_in_force();
  refresh_bulletins();
});

// --- bulletin ------------------------------------------------------------------------------------------

const bulletin = document.getElementById("bulletin");
{
  const asked = asked_once();
  let kept = { file: null, key: "", media: null }; // uploaded or spoken already, should the order fail

  let pictured = { file: null, picture: null };

  async function picture_of(title, file) {
    if (pictured.file === file) return pictured.picture;
    const path = `/api/v1/pictures?title=${encodeURIComponent(title)}`;
    const picture = file ? await call("POST", path, file, "application/octet-stream") : null;
    pictured = { file, picture };
    return picture;
  }

  async function media_of(title, text, file) {
    const key = JSON.stringify([title, file ? "" : text]);
    if (kept.media && kept.file === file && kept.key === key) return kept.media;
    let media = null;
    if (file) {
      const path = `/api/v1/media?title=${encodeURIComponent(title)}`;
      media = await call("POST", path, file, "application/octet-stream");
    } else if (text) {
      media = await call("POST", "/api/v1/speech", { text, title });
    }
    kept = { file, key, media };
    return media;
  }

  bulletin.addEventListener("submit", async (event) => {
    event.preventDefault();
    const fields = bulletin.elements;
    const output = bulletin.querySelector(":scope > output");
    const sent = await guarded(output, bulletin.querySelectorAll("button"), async () => {
      const title = fields.title.value.trim(), text = fields.text.value.trim();
      const media = await media_of(title, text, fields.file.files[0] || null);
      const part = { language: "vi", title, text };
      if (media) part.media = media.sha256;
      const shown = await picture_of(title, fields.picture.files[0] || null);
      if (shown) part.picture = shown.sha256;
      const body = {
        class: fields.class.value,
        author: fields.author.value.trim(),
        parts: [part],
        ...chosen_areas(bulletin),
      };
      const start = fields.start.value; // with seconds only where somebody gave them
      if (start) body.start = `${start.length > "2026-01-01T05:00".length ? start : `${start}:00`}+07:00`; // Việt Nam
      body.request_id = asked.id_of(body);
      await call("POST", "/api/v1/bulletins", body);
    });
    if (sent) { asked.done(); bulletin.reset(); }
    refresh_bulletins();
  });
}

// --- controls ------------------------------------------------------------------------------------------

const FINAL = ["succeeded", "failed", "rejected", "timed_out"];

async function follow(job, output) {
  for (let tries = 0; tries < 30; tries += 1) {
    const answer = await call("GET", `/api/v1/jobs/${job}`);
    const box = answer.boxes[0] || { state: null, result: {} };
    const state = box.state;
    const why = box.result.text ? `: ${box.result.text}` : "";
    say(output, words[`job_${state || "silent"}`] + why, FINAL.includes(state) ? state === "succeeded" : undefined);
    if (FINAL.includes(state) || answer.overdue) return;
    await new Promise((done) => setTimeout(done, 1000));
  }
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-action]");
  if (!button) return;
  const item = button.closest("[data-box]");
  const output = item.querySelector("output");
  const action = button.dataset.action;
  const asked = { request_id: request_id(), action, arguments: {} };
  if (action === "set_volume") {
    const volume = item.querySelector('[name="volume"]');
    if (volume.value === "" || !volume.reportValidity()) { volume.focus(); return; }
    asked.arguments.percent = Number(volume.value);
  }
  if (action === "pause") asked.arguments.minutes = 10;
  let job = null;
  const sent = await guarded(output, item.querySelectorAll("button"), async () => {
    job = (await call("POST", `/api/v1/boxes/${item.dataset.box}/jobs`, asked)).id;
    return words.waiting;
  });
  if (sent) follow(job, output).catch((error) => say(output, error.message, false));
});

// --- order of priority -----------------------------------------------------------------------------------

const priority = document.getElementById("priority");
if (priority) {
  priority.addEventListener("click", (event) => {
    const button = event.target.closest("[data-move]");
    if (!button) return;
    const item = button.closest("li");
    if (button.dataset.move === "up" && item.previousElementSibling) item.previousElementSibling.before(item);
    if (button.dataset.move === "down" && item.nextElementSibling) item.nextElementSibling.after(item);
    button.focus();
  });
  priority.addEventListener("submit", async (event) => {
    event.preventDefault();
    const order = [...priority.querySelectorAll("li")].flatMap((one) => JSON.parse(one.dataset.ids));
    await guarded(priority.querySelector("output"), priority.querySelectorAll("button"), async () => {
      await call("PUT", "/api/v1/priority-order", { order });
    });
  });
}

// --- hours -----------------------------------------------------------------------------------------------

const hours = document.getElementById("hours");
{
  const rows = hours.querySelector(".rows");
  hours.querySelector("[data-add]").addEventListener("click", () => {
    rows.append(hours.querySelector("template").content.cloneNode(true));
  });
  rows.addEventListener("click", (event) => {
    const button = event.target.closest("[data-remove]");
    if (button) button.closest("fieldset").remove();
  });
  hours.addEventListener("submit", async (event) => {
    event.preventDefault();
    const windows = [...rows.querySelectorAll("fieldset")].map((row) => {
      const value = (name) => row.querySelector(`[name="${name}"]`).value;
      const window = {
        weekdays: [...row.querySelectorAll('[name="day"]:checked')].map((one) => Number(one.value)),
        start: value("start"),
        end: value("end") === "00:00" ? "24:00" : value("end"),
      };
      if (value("max_minutes")) window.max_minutes = Number(value("max_minutes"));
      if (value("max_dbfs")) window.max_dbfs = Number(value("max_dbfs"));
      return window;
    });
    await guarded(hours.querySelector("output"), hours.querySelectorAll("button"), async () => {
      await call("PUT", "/api/v1/hours", { windows });
    });
  });
}

setInterval(refresh_in_force, 10000);
