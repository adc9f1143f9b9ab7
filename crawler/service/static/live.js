// Makes the pages live: buttons that change something, and figures that follow the event stream. Without it all of them
// still show how things stood when they were asked for.
"use strict";

const note = document.getElementById("note");

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
    location.assign(body.job ? `/runs/${said.id}` : location.href);
  } catch (error) {
    note.textContent = error.message;
    button.disabled = false;
  }
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-post], button[data-start]");
  if (!button) return;
  if (button.dataset.start) change(button, "/v1/runs", {job: button.dataset.start});
  else change(button, button.dataset.post, {});
});

function show(place, said) {
  const set = (name, text) => {
    const part = place.querySelector(`[data-${name}]`);
    if (part) part.textContent = text;
  };
  const progress = said.progress;
  if (said.state) {
    const state = place.querySelector("[data-state]");
    if (state) {
      state.textContent = said.state + (said.wanted ? ` → ${said.wanted}` : "");
      state.className = `state ${said.state}`;
    }
  }
  if (!progress || progress.submitted === undefined) return;
  const bar = place.querySelector("[data-bar]");
  if (bar) {
    bar.max = progress.submitted || 1;
    bar.value = progress.done;
  }
  set("figures", `${progress.done} of ${progress.submitted}`);
  set("rate", progress.rate.now);
  set("in-flight", progress.in_flight);
}

const one = document.querySelector("[data-follow]");
const all = document.querySelector("[data-live]");
if (one || all) {
  const stream = new EventSource(one ? `/v1/runs/${one.dataset.run}/events` : "/v1/events");
  const follow = (event) => {
    const said = JSON.parse(event.data);
    const place = document.querySelector(`[data-run="${said.run}"]`);
    if (place) show(place, said);
    else if (all) location.reload();
  };
  stream.addEventListener("progress", follow);
  stream.addEventListener("state", follow);
  stream.addEventListener("end", (event) => {
    follow(event);
    if (one) stream.close();
    if (performance.now() > 2000) location.reload();
  });
  addEventListener("pagehide", () => stream.close());
}
