// What boards show, the list of their pages with a preview beside the form, taking over and handing back.
"use strict";
const words = JSON.parse(document.body.dataset.words);
const held = JSON.parse(document.body.dataset.pages);
const language = document.documentElement.lang;
const csrf = document.querySelector('meta[name="csrf-token"]').content;
const FINAL = ["succeeded", "failed", "rejected", "timed_out"];
const FOLLOW_TRIES = 60;
const PREVIEW_AFTER_MS = 600;

function request_id() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (one) => one.toString(16).padStart(2, "0")).join("");
}

function fill(text, values) {
  return text.replace(/\[(\w+)\]/g, (whole, name) => (name in values ? values[name] : whole));
}

function say(output, text, good) {
  output.textContent = text;
  output.className = good === undefined ? "" : good ? "good" : "bad";
}

function make(tag, text, name) {
  const one = document.createElement(tag);
  if (text !== undefined) one.textContent = text;
  if (name) one.className = name;
  return one;
}

async function send(method, path, body, type = "application/json", signal = undefined) {
  const headers = { "X-CSRF-Token": csrf };
  if (body !== undefined) headers["Content-Type"] = type;
  const sent = type === "application/json" && body !== undefined ? JSON.stringify(body) : body;
  let answer;
  try {
    answer = await fetch(path, { method, headers, body: sent, signal });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error(words.failed);
  }
  if (answer.status === 401) { dirty = false; location.reload(); throw new Error(words.failed); }
  if (!answer.ok) {
    const said = await answer.json().catch(() => ({}));
    throw new Error(said.message ? said.message[language] : words.failed);
  }
  return answer;
}
const call = async (...all) => (await send(...all)).json();

async function guarded(output, controls, work, sending = words.sending) {
  for (const one of controls) one.disabled = true;
  say(output, sending);
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

// --- what boards show --------------------------------------------------------------------------------------

const now = document.getElementById("now");
let working = 0; // nothing is replaced under the hands of somebody

async function refresh() {
  const open = now.contains(document.activeElement) && document.activeElement !== document.body;
  if (working || open || now.querySelector("details[open], .taken-shot")) return;
  try {
    const answer = await fetch(`/console/boards/now?lang=${language}`);
    if (answer.ok) now.innerHTML = await answer.text(); // escaped by the server
  } catch (error) { /* the next refresh tries again */ }
}

async function follow(job, output) {
  for (let tries = 0; tries < FOLLOW_TRIES; tries += 1) {
    const answer = await call("GET", `/api/v1/jobs/${job}`);
    const box = answer.boxes[0] || { state: null, result: {} };
    const why = box.result.text ? `: ${box.result.text}` : "";
    const final = FINAL.includes(box.state);
    say(output, words[`job_${box.state || "silent"}`] + why, final ? box.state === "succeeded" : undefined);
    if (final || answer.overdue) return box;
    await new Promise((done) => setTimeout(done, 1000));
  }
  return null;
}

async function job(button, action, given) {
  const card = button.closest("[data-board]");
  const output = card.querySelector("output");
  const controls = card.querySelectorAll("button");
  working += 1;
  let box = null;
  try {
    for (const one of controls) one.disabled = true;
    const body = { request_id: request_id(), action, arguments: { board: card.dataset.board, ...given } };
    say(output, words.sending);
    const { id } = await call("POST", `/api/v1/boxes/${card.dataset.box}/jobs`, body);
    say(output, words.waiting);
    box = await follow(id, output);
    if (box) box.job = id;
  } catch (error) {
    say(output, error.message, false);
  } finally {
    for (const one of controls) one.disabled = false;
    working -= 1;
  }
  return box;
}

async function screenshot(button) {
  const card = button.closest("[data-board]");
  const box = await job(button, "screenshot", {});
  if (!box || box.state !== "succeeded") return;
  const picture = card.querySelector(".taken-shot") || make("img", undefined, "taken-shot");
  if (!box.result.png && !box.result.thumbnail) { say(card.querySelector("output"), words.shot_large); return; }
  picture.alt = button.textContent;
  picture.src = `/api/v1/jobs/${box.job}/boxes/${card.dataset.box}/picture`;
  card.querySelector(".actions").append(picture);
}

async function end_takeover(button) {
  if (!button.classList.contains("armed")) { // a second press, so that no stray touch hands a board back
    button.classList.add("armed");
    button.dataset.said = button.textContent;
    button.textContent = words.sure;
    setTimeout(() => { button.classList.remove("armed"); button.textContent = button.dataset.said; }, 5000);
    return;
  }
  const output = button.closest("li").querySelector("output");
  const done = await guarded(output, [button], async () => {
    await call("POST", `/api/v1/takeovers/${button.dataset.end}/cancel`, {});
  });
  if (done) { button.blur(); setTimeout(refresh, 1500); }
}

now.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  if ("shot" in button.dataset) screenshot(button);
  else if ("pattern" in button.dataset) {
    const chosen = button.dataset.pattern ? button.closest("details").querySelector("select").value : "";
    job(button, "board_pattern", chosen ? { pattern: chosen, minutes: 10 } : { pattern: "" });
  } else if ("end" in button.dataset) end_takeover(button);
  else if ("take" in button.dataset) choose_for_takeover(button.closest("[data-board]"));
});

const reports = new EventSource("/api/v1/watch");
for (const kind of ["state", "health", "screen"]) reports.addEventListener(kind, refresh);
setInterval(refresh, 15000);

// --- taking over --------------------------------------------------------------------------------------------

const take = document.getElementById("take");

function choose_for_takeover(card) {
  if (!take) { location.reload(); return; }
  for (const one of take.querySelectorAll('[name="where"]')) {
    if (one.value === card.dataset.board && one.dataset.box === card.dataset.box) one.checked = true;
  }
  take.scrollIntoView({ behavior: "smooth" });
  take.querySelector('[name="reason"]').focus({ preventScroll: true });
}

if (take) {
  const form = take.querySelector("form");
  const hours = (count) => local_of(new Date(Date.now() + count * 3600e3));
  form.elements.until.value = hours(6);
  const asked = { key: "", ids: {} };
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = form.querySelector("[type=submit]"), output = form.querySelector("output");
    const chosen = [...form.querySelectorAll('[name="where"]:checked')];
    if (!chosen.length) { say(output, words.no_boards_chosen, false); return; }
    if (!button.classList.contains("armed")) {
      button.classList.add("armed");
      button.dataset.said = button.textContent;
      button.textContent = words.sure;
      setTimeout(() => { button.classList.remove("armed"); button.textContent = button.dataset.said; }, 5000);
      return;
    }
    const boxes = {};
    for (const one of chosen) (boxes[one.dataset.box] ||= []).push(one.value);
    const reason = form.elements.reason.value.trim(), until = moment_of(form.elements.until.value);
    const key = JSON.stringify([boxes, reason, until]);
    if (key !== asked.key) { asked.key = key; asked.ids = {}; }
    const done = await guarded(output, [button], async () => {
      for (const [box, boards] of Object.entries(boxes)) { // the same id again after a lost answer
        const id = (asked.ids[box] ||= request_id());
        await call("POST", "/api/v1/takeovers", { request_id: id, devices: [box], boards, reason, until });
      }
      return words.taken;
    });
    if (done) { asked.key = ""; setTimeout(refresh, 1500); }
  });
}

// --- pages --------------------------------------------------------------------------------------------------

const section = document.getElementById("pages");
const list = section.querySelector("ol");
const saved = section.querySelector(":scope > output");
const editor = document.getElementById("editor");
const form = editor.querySelector("form");
const fields = form.elements;
const windows = form.querySelector(".rows");
let pages = held.pages.map(draft_of);
let version = held.version;
let dirty = false;
let edited = -1; // -1: a new page

function draft_of(page) {
  const draft = { ...page };
  for (const name of ["picture", "video"]) if (draft[name]) draft[name] = draft[name].sha256;
  return draft;
}

// Civil time of Việt Nam, whatever the clock of this computer says of its zone.
function local_of(moment) {
  return new Date(new Date(moment).getTime() + 7 * 3600e3).toISOString().slice(0, 16);
}
function moment_of(local) {
  return local ? `${local.length > 16 ? local : `${local}:00`}+07:00` : undefined;
}
function date_of(moment) {
  const local = local_of(moment);
  return `${local.slice(11)} ${local.slice(8, 10)}/${local.slice(5, 7)}/${local.slice(0, 4)}`;
}

function times_of(page) {
  const said = (page.windows || []).map((one) => {
    const all = one.weekdays.length === 7;
    const days = all ? words.days_all : one.weekdays.map((day) => words[`day_${day}`]).join(", ");
    return `${one.start}–${one.end} ${days}`;
  });
  if (!said.length) said.push(words.shown_always);
  if (page.valid_from) said.push(fill(words.from_day, { at: date_of(page.valid_from) }));
  if (page.valid_until) said.push(fill(words.to_day, { at: date_of(page.valid_until) }));
  if ((page.boards || []).length) said.push(fill(words.only_boards, { boards: page.boards.join(", ") }));
  said.push(page.dwell_s ? fill(words.seconds, { n: page.dwell_s }) : words.as_reading);
  return said.join(" · ");
}

function draw_list() {
  if (!pages.length) { list.replaceChildren(make("p", words.no_pages)); return; }
  list.replaceChildren(...pages.map((page, n) => {
    const item = make("li");
    const over = page.valid_until && new Date(page.valid_until) <= new Date();
    if (over) item.className = "over";
    const mini = make(page.picture ? "img" : "span", undefined, page.picture ? "mini" : "mini none");
    if (page.picture) { mini.src = `/api/v1/pictures/${page.picture}/file`; mini.alt = ""; mini.loading = "lazy"; }
    const about = make("div");
    const title = make("p");
    title.append(make("strong", page.title || words.no_title));
    const marks = [];
    if (page.urgent) marks.push(words.urgent_mark);
    if (over) marks.push(words.until_past);
    if (page.video || page.stream) marks.push(words.video_mark);
    if (page.ticker) marks.push(words.ticker_mark);
    if (marks.length) title.append(make("span", ` ${marks.join(" · ")}`, "mark warn"));
    about.append(title, make("p", page.text.length > 140 ? `${page.text.slice(0, 140)}…` : page.text));
    about.append(make("small", times_of(page)));
    const tools = make("div", undefined, "tools");
    for (const [name, sign] of [["edit", ""], ["up", "▲"], ["down", "▼"], ["remove", "✕"]]) {
      const button = make("button", sign || words[name]);
      button.type = "button";
      button.dataset.do = name;
      button.dataset.n = n;
      button.setAttribute("aria-label", `${words[name]}: ${page.title || words.no_title}`);
      button.title = words[name];
      button.disabled = (name === "up" && n === 0) || (name === "down" && n === pages.length - 1);
      tools.append(button);
    }
    item.append(mini, about, tools);
    return item;
  }));
}

function changed() {
  dirty = true;
  saved.textContent = words.unsaved;
  saved.className = "unsaved";
  draw_list();
}

list.addEventListener("click", (event) => {
  const button = event.target.closest("[data-do]");
  if (!button) return;
  const n = Number(button.dataset.n), what = button.dataset.do;
  if (what === "edit") { edit(n); return; }
  if (!editor.hidden) close_editor(); // its number would be another page's
  if (what === "remove") pages.splice(n, 1);
  else {
    const m = what === "up" ? n - 1 : n + 1;
    [pages[n], pages[m]] = [pages[m], pages[n]];
  }
  changed();
  const next = what === "up" ? n - 1 : what === "down" ? n + 1 : Math.min(n, pages.length - 1);
  const focus = list.querySelector(`[data-n="${next}"][data-do="${what}"]:not(:disabled)`)
    || list.querySelector(`[data-n="${next}"]`) || section.querySelector("[data-add]");
  focus.focus();
});

section.querySelector("[data-add]").addEventListener("click", () => edit(-1));
section.querySelector("[data-save]").addEventListener("click", async () => {
  const buttons = section.querySelectorAll("[data-save], [data-add]");
  await guarded(saved, buttons, async () => {
    const answer = await call("PUT", "/api/v1/board-pages", { pages, if_version: version });
    pages = answer.pages.map(draft_of);
    version = answer.version;
    dirty = false;
    draw_list();
    return words.saved;
  });
});
addEventListener("beforeunload", (event) => { if (dirty) event.preventDefault(); });

// --- one page -------------------------------------------------------------------------------------------------

function choose(select, value, name) {
  if (value && ![...select.options].some((one) => one.value === value)) {
    const option = make("option", name || value.slice(0, 12));
    option.value = value;
    select.append(option);
  }
  select.value = value || "";
}

function add_window(window) {
  const row = form.querySelector("template").content.cloneNode(true).querySelector("fieldset");
  if (window) {
    for (const one of row.querySelectorAll('[name="day"]')) one.checked = window.weekdays.includes(Number(one.value));
    row.querySelector('[name="start"]').value = window.start;
    row.querySelector('[name="end"]').value = window.end === "24:00" ? "00:00" : window.end;
  }
  windows.append(row);
}

function edit(n) {
  edited = n;
  const page = n < 0 ? {} : pages[n];
  form.reset();
  windows.replaceChildren();
  fields.title.value = page.title || "";
  fields.text.value = page.text || "";
  fields.ticker.value = page.ticker || "";
  fields.dwell.value = page.dwell_s ?? 10;
  fields.qr.value = page.qr || "";
  fields.weather.value = page.weather || "";
  fields.urgent.checked = Boolean(page.urgent);
  fields.valid_from.value = page.valid_from ? local_of(page.valid_from) : "";
  fields.valid_until.value = page.valid_until ? local_of(page.valid_until) : "";
  choose(fields.picture, page.picture);
  choose(fields.video, page.video);
  for (const one of page.windows || []) add_window(one);
  for (const one of form.querySelectorAll('[name="board"]')) one.checked = (page.boards || []).includes(one.value);
  for (const output of form.querySelectorAll("output")) say(output, "");
  for (const details of form.querySelectorAll("details")) details.open = false;
  if ((page.windows || []).length || page.valid_from || page.valid_until || page.urgent) {
    form.querySelector("details").open = true;
  }
  editor.hidden = false;
  editor.scrollIntoView({ block: "start" });
  fields.title.focus({ preventScroll: true });
  preview();
}

function close_editor() {
  editor.hidden = true;
  if (drawing) drawing.abort();
}

function page_of_form() {
  const page = { ...(edited < 0 ? {} : pages[edited]) }; // what the form does not show stays
  page.title = fields.title.value.trim();
  page.text = fields.text.value.trim();
  page.ticker = fields.ticker.value.trim();
  page.dwell_s = Math.min(3600, Math.max(0, Math.round(Number(fields.dwell.value) || 0)));
  page.qr = fields.qr.value.trim();
  page.weather = fields.weather.value.trim();
  page.urgent = fields.urgent.checked;
  page.windows = [...windows.querySelectorAll("fieldset")].map((row) => ({
    weekdays: [...row.querySelectorAll('[name="day"]:checked')].map((one) => Number(one.value)),
    start: row.querySelector('[name="start"]').value,
    end: row.querySelector('[name="end"]').value === "00:00" ? "24:00" : row.querySelector('[name="end"]').value,
  }));
  page.boards = [...form.querySelectorAll('[name="board"]:checked')].map((one) => one.value);
  for (const name of ["picture", "video"]) {
    if (fields[name].value) page[name] = fields[name].value;
    else delete page[name];
  }
  for (const name of ["valid_from", "valid_until"]) {
    const moment = moment_of(fields[name].value);
    if (moment) page[name] = moment;
    else delete page[name];
  }
  return page;
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const page = page_of_form();
  page.text ||= "";
  if (edited < 0) pages.push(page);
  else pages[edited] = page;
  const n = edited < 0 ? pages.length - 1 : edited;
  close_editor();
  changed();
  section.scrollIntoView({ block: "start" });
  list.querySelector(`[data-n="${n}"]`).focus({ preventScroll: true });
});
form.querySelector("[data-back]").addEventListener("click", () => { close_editor(); section.querySelector("[data-add]").focus(); });
form.querySelector("[data-add-window]").addEventListener("click", () => add_window());
windows.addEventListener("click", (event) => {
  const button = event.target.closest("[data-remove-window]");
  if (button) button.closest("fieldset").remove();
});

async function upload(kind, input) {
  const file = input.files[0];
  if (!file) return;
  const place = input.closest("fieldset");
  const title = file.name.replace(/\.[^.]*$/, "").slice(0, 200);
  await guarded(place.querySelector("output"), [input, form.querySelector("[type=submit]")], async () => {
    const path = `/api/v1/${kind}s?title=${encodeURIComponent(title)}`;
    const answer = await call("POST", path, file, "application/octet-stream");
    choose(fields[kind], answer.sha256, answer.title || title);
    return words.uploaded;
  }, words.uploading);
  input.value = "";
  preview();
}
fields.picture_file.addEventListener("change", () => upload("picture", fields.picture_file));
fields.video_file.addEventListener("change", () => upload("video", fields.video_file));

// --- preview --------------------------------------------------------------------------------------------------

const beside = editor.querySelector(".preview");
const picture = beside.querySelector("img");
const screen = beside.querySelector(".screen");
const notes = beside.querySelector(".notes");
const told = beside.querySelector("output");
let drawing = null;
let timer = 0;

function complaint(text) {
  const [code, ...rest] = text.split(" ");
  const key = code.startsWith("picture_") ? "missing_picture" : code;
  const sentence = words[`complaint_${key}`] || words.complaint_other;
  return fill(sentence, { detail: words[`complaint_${key}`] ? rest.join(" ") : text });
}

async function preview() {
  clearTimeout(timer);
  if (editor.hidden) return;
  if (drawing) drawing.abort();
  const mine = drawing = new AbortController();
  const page = page_of_form();
  delete page.id;
  page.windows = [];
  delete page.valid_from;
  delete page.valid_until;
  if (!(page.title || page.text || page.ticker || page.picture || page.video || page.qr)) {
    picture.hidden = true;
    notes.replaceChildren();
    say(told, "");
    return;
  }
  const board = JSON.parse(beside.querySelector('[name="size"]').selectedOptions[0].dataset.board);
  const shape = beside.querySelector('[name="moving"]').checked ? "gif" : "sheet";
  screen.classList.add("busy");
  say(told, words.drawing);
  try {
    const answer = await send("POST", "/api/v1/board-preview", { page, board, form: shape }, "application/json", mine.signal);
    const said = JSON.parse(answer.headers.get("X-Preview"));
    picture.src = answer.headers.get("Content-Location");
    picture.hidden = false;
    say(told, fill(words.preview_screens, { n: said.screens }) + (said.reduced ? ` ${words.preview_reduced}` : ""));
    notes.replaceChildren(...said.problems.map((one) => make("li", complaint(one))));
  } catch (error) {
    if (error.name === "AbortError") return;
    picture.hidden = true;
    notes.replaceChildren();
    say(told, error.message, false);
  } finally {
    if (mine === drawing) screen.classList.remove("busy");
  }
}

function soon() {
  clearTimeout(timer);
  timer = setTimeout(preview, PREVIEW_AFTER_MS);
}
form.addEventListener("input", soon);
beside.addEventListener("change", preview);

draw_list();
