// Refreshes the tables when a report arrives, and every 15 seconds for ages and silence.
"use strict";
const tables = document.getElementById("tables");
const link = document.getElementById("link");
const query = "?lang=" + document.documentElement.lang;
let under_way = false;
let again = false;

function say(live) {
  link.textContent = live ? link.dataset.live : link.dataset.lost;
  link.className = live ? "good" : "bad";
}

async function refresh() {
  if (under_way) { again = true; return; }
  under_way = true;
  try {
    const answer = await fetch("/console/tables" + query, { headers: { Accept: "text/html" } });
    if (answer.status === 401) { location.reload(); return; }
    if (!answer.ok) throw new Error(String(answer.status));
    tables.innerHTML = await answer.text(); // escaped by the server
    say(true);
  } catch (error) {
    say(false);
  } finally {
    under_way = false;
    if (again) { again = false; setTimeout(refresh, 500); }
  }
}

const reports = new EventSource("/api/v1/watch");
for (const kind of ["birth", "state", "health", "event", "asrun", "reported", "job", "missed"]) {
  reports.addEventListener(kind, refresh);
}
reports.addEventListener("open", () => say(true));
setInterval(refresh, 15000);
say(true);
