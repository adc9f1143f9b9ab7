// Makes the pages live: buttons that change something, figures that follow the event stream, parts that are fetched anew
// when a run begins or ends. Without this script every page still shows how things stood when it was asked for.
"use strict";

const note = document.getElementById("note");

function say(text) {
  note.textContent = text;
  clearTimeout(say.timer);
  say.timer = setTimeout(() => { note.textContent = ""; }, 8000);
}

// -- buttons ----------------------------------------------------------------------------------------------------------

async function change(button, url, body) {
  button.disabled = true;
  try {
    const answer = await fetch(url, {
      method: "POST",
      headers: {"Content-Type": "application/json"},
      body: JSON.stringify(body),
    });
    const said = await answer.json();
    if (!answer.ok) throw new Error(said.detail || answer.statusText);
    if (body.job) {
      location.assign(`/runs/${said.id}`);
      return;
    }
    say(button.dataset.says);
    refresh();
  } catch (error) {
    say(error.message);
    button.disabled = false;
  }
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-post], button[data-start]");
  if (!button) return;
  if (button.dataset.start) change(button, "/v1/runs", {job: button.dataset.start});
  else if (!button.dataset.asks || confirm(button.dataset.asks)) change(button, button.dataset.post, {});
});

// -- parts that are fetched anew ----------------------------------------------------------------------------------------

const REST_MS = 2000; // between two times, however much happens
let isDue = false;
let refreshed = 0;

function refresh() {
  if (isDue) return;
  isDue = true;
  setTimeout(replaceParts, Math.max(150, refreshed + REST_MS - performance.now()));
}

// What to find the focus again by, after its place was replaced.
function mark(element) {
  for (const name of ["id", "href", "data-post", "data-start", "aria-labelledby"]) {
    const value = element?.getAttribute?.(name);
    if (value) return `${element.localName}[${name}="${CSS.escape(value)}"]`;
  }
  return null;
}

async function replaceParts() {
  isDue = false;
  refreshed = performance.now();
  let text;
  try {
    const answer = await fetch(location.href, {headers: {Accept: "text/html"}});
    if (!answer.ok) return;
    text = await answer.text();
  } catch {
    return; // the stream says when the service is back
  }
  const fresh = new DOMParser().parseFromString(text, "text/html");
  const focus = document.activeElement;
  for (const part of document.querySelectorAll("[data-part]")) {
    const other = fresh.getElementById(part.id);
    if (!other || other.innerHTML === part.innerHTML) continue;
    const focused = part.contains(focus) ? mark(focus) : null;
    part.replaceChildren(...other.childNodes);
    if (focused) (part.matches(focused) ? part : part.querySelector(focused) || document.getElementById("main")).focus();
    part.dispatchEvent(new CustomEvent("replaced", {bubbles: true}));
  }
  document.title = fresh.title;
  until();
}

// -- figures ----------------------------------------------------------------------------------------------------------

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];

function size(bytes) {
  let unit = 0;
  for (; bytes >= 1024 && unit < 4; unit++) bytes /= 1024;
  return `${unit ? bytes.toFixed(1) : bytes} ${UNITS[unit]}`;
}

function duration(seconds) {
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const minutes = Math.floor(seconds / 60);
  return minutes < 60 ? `${minutes} min ${Math.floor(seconds % 60)} s` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

function row(head, link, cells) {
  const line = document.createElement("tr");
  const first = document.createElement("th");
  first.scope = "row";
  const name = link ? document.createElement("a") : first;
  if (link) {
    name.href = link;
    first.append(name);
  }
  name.textContent = head;
  line.append(first);
  for (const [text, kind] of cells) {
    const cell = document.createElement("td");
    cell.className = kind;
    cell.textContent = text;
    line.append(cell);
  }
  return line;
}

function show(place, said) {
  const set = (name, text) => {
    const part = place.querySelector(`[data-${name}]`);
    if (part) part.textContent = text;
  };
  const state = place.querySelector("[data-state]");
  if (said.state && state) {
    state.textContent = said.state + (said.wanted ? ` → ${said.wanted}` : "");
    state.className = `state ${said.state}`;
  }
  const progress = said.progress;
  if (!progress || progress.submitted === undefined) return;
  const bar = place.querySelector("[data-bar]");
  if (bar) {
    bar.max = progress.submitted || 1;
    bar.value = progress.done;
  }
  set("figures", `${progress.done} of ${progress.submitted}${progress.is_total_known === false ? "+" : ""}`);
  set("rate", progress.rate.now);
  set("in-flight", progress.in_flight);
  set("ok", progress.counts.ok || 0);
  set("failed", progress.counts.failed || 0);
  set("retries", progress.retries);
  set("received", size(progress.bytes_wire));
  const kinds = place.querySelector("[data-errors]");
  if (kinds) {
    kinds.replaceChildren(...progress.errors.slice(0, Number(kinds.dataset.errors)).map((error) => {
      const item = document.createElement("li");
      const number = document.createElement("b");
      number.textContent = error.n;
      item.append(`${error.kind} `, number);
      return item;
    }));
  }
  const errors = place.querySelector("[data-error-rows]");
  if (errors && progress.errors.length) {
    errors.replaceChildren(...progress.errors.map((error) => row(
      error.kind, `?kind=${encodeURIComponent(error.kind)}#records`,
      [[error.n, "n"], [error.host || "", ""], [error.example || "", "why"]],
    )));
  }
  const hosts = place.querySelector("[data-host-rows]");
  if (hosts && progress.hosts?.length) {
    hosts.replaceChildren(...progress.hosts.map((host) => row(
      host.host, null, [[host.n, "n"], [host.ok, "n"], [duration(host.mean), "n"]],
    )));
  }
  place.dispatchEvent(new CustomEvent("progress", {detail: progress}));
}

// -- the stream -------------------------------------------------------------------------------------------------------

const one = document.querySelector("[data-follow]");
const all = document.querySelector("[data-live]");

if (one || all) {
  const only = all?.dataset.only;
  const stream = new EventSource(one ? `/v1/runs/${one.dataset.run}/events` : "/v1/events");
  const place = (said) => document.querySelector(`[data-run="${said.run}"]`);
  const isOurs = (said) => !only || said.job === only;
  let last = one?.querySelector("[data-state]")?.textContent;
  stream.addEventListener("progress", (event) => {
    const said = JSON.parse(event.data);
    if (place(said)) show(place(said), said);
    else if (isOurs(said) && !only) refresh();
  });
  stream.addEventListener("state", (event) => {
    const said = JSON.parse(event.data);
    if (place(said)) show(place(said), said);
    // The first event of a run's own stream says what the page knows already.
    if (isOurs(said) && said.state + (said.wanted ? ` → ${said.wanted}` : "") !== last) refresh();
    if (one) last = said.state + (said.wanted ? ` → ${said.wanted}` : "");
  });
  stream.addEventListener("end", (event) => {
    const said = JSON.parse(event.data);
    if (place(said)) show(place(said), said);
    if (one) stream.close();
    if (!isOurs(said)) return;
    say(`${said.job} is ${said.state}`);
    refresh();
  });
  const link = document.getElementById("link");
  let wasLost = false;
  stream.addEventListener("open", () => {
    link.hidden = true;
    if (wasLost) refresh();
    wasLost = false;
  });
  stream.addEventListener("error", () => {
    if (stream.readyState === EventSource.CLOSED && one) return;
    link.hidden = false;
    wasLost = true;
  });
  addEventListener("pagehide", () => stream.close());
  addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
}

// -- how long until the next start ------------------------------------------------------------------------------------

function until() {
  for (const place of document.querySelectorAll("[data-until]")) {
    const seconds = Math.max(0, (Date.parse(place.dataset.until) - Date.now()) / 1000);
    const text = seconds < 86400 ? `in ${duration(Math.round(seconds) || 0).replace(".0 s", " s").replace("0 ms", "0 s")}` : "";
    if (place.textContent !== text) place.textContent = text;
  }
}

until();
setInterval(until, 1000);
