// Keys, buttons and filters: where the parts meet.

function answerCurrent(verdict, label = null) {
  if (current === null) return;
  const answered = current;
  const next = nextOpen(answered);
  give(answered, verdict, label);
  if (next === null || next === answered) say("Every row of this list is answered.");
  lookAt(next === null || next === answered ? answered : next);
}

/** Make a row the current one and draw all that depends on it. */
function lookAt(index) {
  if (index !== current) byId("example").parentElement.scrollTop = 0;
  current = index;
  redraw();
}

/** Draw everything anew; the current row stays where it is still listed. */
function redraw() {
  refilter();
  if (!view.includes(current)) current = view[0] ?? null;
  drawExample();
  scrollToCurrent();
  drawList();
  drawFigures();
}

function drawFigures() {
  const { errors, decided, low, high } = precision();
  byId("reviewed").textContent = `${wholeNumber.format(answers.size)} of ${wholeNumber.format(rowCount)}`;
  byId("progress").max = rowCount || 1;
  byId("progress").value = answers.size;
  byId("precision").textContent = decided ? `${percent(errors / decided)} (${percent(low)} to ${percent(high)})` : "–";
  const ahead = lookAhead();
  byId("ahead-name").textContent = `Next ${ahead?.rows ?? 100}`;
  byId("ahead").textContent = ahead
    ? `≈ ${Math.round(ahead.expected)} errors`
    : answers.size === rowCount ? "none left" : decided < FEWEST_DECIDED ? `after ${FEWEST_DECIDED} rows` : "–";
  const filtered = view.length !== rowCount;
  byId("matches").textContent = filtered ? `${wholeNumber.format(view.length)} of ${wholeNumber.format(rowCount)} rows` : `${wholeNumber.format(rowCount)} rows`;
  byId("reset").hidden = !filtered;
  byId("undo").disabled = !undoable.length;
  byId("download").disabled = !answers.size;
  drawPace();
}

function drawPace() {
  const { rows: answered, minutes } = pace();
  const seconds = Math.round(minutes * 60);
  const clock = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
  byId("pace").textContent = answered ? `${clock} · ${(answered / Math.max(minutes, 1 / 60)).toFixed(1)}/min` : "–";
}

let toastTimer = 0;

function say(message) {
  const toast = byId("toast");
  toast.textContent = message;
  toast.classList.add("shown");
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => toast.classList.remove("shown"), 4_000);
}

function goNextOpen() {
  const next = nextOpen(current);
  if (next === null) say("Every row of this list is answered.");
  else lookAt(next);
}

function goUndo() {
  const index = undo();
  if (index === null) say("Nothing to undo.");
  else lookAt(index);
}

function pane(name) {
  document.body.dataset.pane = name;
  if (name === "list") drawList();
}

// --- another label ---

let choices = []; // class indices that the dialog lists
let chosen = 0;

function openLabels() {
  if (current === null) return;
  byId("label-search").value = "";
  listChoices();
  byId("labels").showModal();
}

function listChoices() {
  const words = byId("label-search").value.trim().toLowerCase();
  choices = labels.map((_, label) => label).filter((label) => labels[label].toLowerCase().includes(words));
  choices.sort((a, b) => (probability(current, b) ?? -1) - (probability(current, a) ?? -1) || a - b);
  chosen = 0;
  drawChoices();
}

function drawChoices() {
  byId("label-choices").replaceChildren(...choices.map((label, place) => {
    const share = probability(current, label);
    const choice = element("li", place === chosen ? "chosen" : "", labelName(label), element("span", "share", share === null ? "" : shownProbability(share)));
    choice.setAttribute("role", "option");
    choice.setAttribute("aria-selected", String(place === chosen));
    choice.addEventListener("click", () => choose(label));
    return choice;
  }));
  byId("label-choices").children[chosen]?.scrollIntoView({ block: "nearest" });
}

function choose(label) {
  byId("labels").close();
  if (label !== undefined) answerCurrent("relabel", label);
}

byId("label-search").addEventListener("input", listChoices);
byId("label-search").addEventListener("keydown", (event) => {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (step) {
    chosen = Math.min(choices.length - 1, Math.max(0, chosen + step));
    drawChoices();
  } else if (event.key === "Enter") choose(choices[chosen]);
  else return;
  event.preventDefault();
});

// --- keys and buttons ---

const ACTIONS = {
  g: () => answerCurrent("keep"),
  p: () => current !== null && answerCurrent("relabel", rows.predicted[current]),
  l: openLabels,
  u: () => answerCurrent("unsure"),
  d: () => answerCurrent("drop"),
  z: goUndo,
  x: () => current !== null && (takeBack(current), redraw()),
  n: goNextOpen,
  j: () => lookAt(neighbour(current, 1)),
  k: () => lookAt(neighbour(current, -1)),
  ArrowDown: () => lookAt(neighbour(current, 1)),
  ArrowUp: () => lookAt(neighbour(current, -1)),
  e: () => current !== null && unfold(),
  "/": () => (pane("list"), byId("search").focus(), byId("search").select()),
  o: () => page.about && byId("overview").showModal(),
  "?": () => byId("help").showModal(),
};

function onKey(event) {
  // A field of a dialog that has just closed keeps the focus until the next frame.
  const typing = /^(INPUT|SELECT)$/.test(event.target.tagName) && !event.target.closest("dialog:not([open])");
  if (event.key === "Escape" && typing) event.target.blur();
  if (typing || event.altKey || event.metaKey || document.querySelector("dialog[open]")) return;
  const undoing = event.ctrlKey && event.key === "z";
  if (event.ctrlKey && !undoing) return;
  const digit = /^[1-9]$/.test(event.key) ? Number(event.key) : 0;
  const action = ACTIONS[event.key] ?? (event.key.length === 1 ? ACTIONS[event.key.toLowerCase()] : undefined);
  if (digit && labels.length <= DIGIT_CLASSES && digit <= labels.length) answerCurrent("relabel", digit - 1);
  else if (action) action();
  else return;
  event.preventDefault();
}

async function loadFiles(chosenFiles) {
  for (const file of chosenFiles) {
    try {
      const { taken, older, elsewhere } = takeOver(await file.text());
      const left = [older && `${older} no newer than yours`, elsewhere && `${elsewhere} on rows that this page does not show`].filter(Boolean);
      say(`${file.name}: ${taken} answers taken over${left.length ? `; left: ${left.join(", ")}` : ""}.`);
    } catch (error) {
      say(`Cannot load ${file.name}: ${error.message}. Nothing was taken from it.`);
    }
  }
  redraw();
}

const THEMES = ["auto", "light", "dark"];

function useTheme(theme) {
  document.documentElement.dataset.theme = theme;
  byId("theme").title = `Colours: ${theme}`;
  try {
    localStorage.setItem("scorer-review-theme", theme);
  } catch { /* it is only a colour */ }
}

function storedTheme() {
  try {
    const theme = localStorage.getItem("scorer-review-theme");
    return THEMES.includes(theme) ? theme : "auto";
  } catch {
    return "auto";
  }
}

function fillSelect(id, name, entries, first) {
  const select = byId(id);
  const options = entries.map(([value, text]) => new Option(text, value));
  if (first) options.unshift(new Option(first, NO_FILTER));
  select.replaceChildren(...options);
  select.addEventListener("change", () => {
    filter[name] = select.value;
    refilter();
    lookAt(nextOpen(null) ?? view[0] ?? null);
  });
}

function resetFilters() {
  for (const name of ["given", "predicted", "status"]) filter[name] = byId(`filter-${name}`).value = NO_FILTER;
  byId("search").value = "";
  searchFor("");
  redraw();
}

function wire() {
  const presses = {
    "answer-keep": ACTIONS.g, "answer-predicted": ACTIONS.p, "answer-other": ACTIONS.l, "answer-unsure": ACTIONS.u,
    "answer-drop": ACTIONS.d, undo: goUndo, "next-open": goNextOpen, reset: resetFilters, download,
    load: () => byId("load-file").click(), back: () => pane("list"),
    "open-help": ACTIONS["?"], "open-overview": ACTIONS.o,
    theme: () => useTheme(THEMES[(THEMES.indexOf(storedTheme()) + 1) % THEMES.length]),
  };
  for (const [id, press] of Object.entries(presses)) byId(id).addEventListener("click", () => press());
  byId("load-file").addEventListener("change", async (event) => {
    await loadFiles([...event.target.files]);
    event.target.value = "";
  });
  byId("search").addEventListener("input", (event) => {
    searchFor(event.target.value);
    redraw();
  });
  byId("reviewer").addEventListener("change", (event) => {
    reviewer = event.target.value.trim();
    store();
    drawFigures();
  });
  list.addEventListener("scroll", () => requestAnimationFrame(drawList), { passive: true });
  list.addEventListener("click", (event) => {
    const pressed = event.target.closest(".entry");
    if (!pressed) return;
    lookAt(Number(pressed.dataset.index));
    pane("example");
  });
  document.addEventListener("keydown", onKey);
  addEventListener("resize", drawList);
  addEventListener("storage", (event) => {
    if (event.key !== STORAGE_KEY) return;
    restore();
    redraw();
  });
  addEventListener("pagehide", () => storing && storeNow());
  addEventListener("beforeunload", (event) => unkept && answers.size && event.preventDefault());
  for (const dialog of document.querySelectorAll("dialog")) {
    dialog.addEventListener("click", (event) => event.target === dialog && dialog.close()); // beside it
  }
}

function start() {
  useTheme(storedTheme());
  document.title = `${oneLine(page.title)} – review`;
  byId("title").append(oneLine(page.title));
  byId("about-run").append(`${wholeNumber.format(rowCount)} of ${wholeNumber.format(page.ranked_rows)} rows by ${page.ranked_by}, model `, element("bdi", "", oneLine(page.model)));
  const names = labels.map((name, label) => [String(label), oneLine(name)]);
  fillSelect("filter-given", "given", names, "any");
  fillSelect("filter-predicted", "predicted", names, "any");
  fillSelect("filter-status", "status", Object.entries(STATUS_NAMES), "any");
  fillSelect("sort", "sort", Object.keys(ORDERS).map((name) => [name, name]));
  restore();
  byId("reviewer").value = reviewer;
  wire();
  refilter();
  current = nextOpen(null) ?? view[0] ?? null;
  drawOverview();
  redraw();
  setInterval(drawPace, 1_000);
  document.documentElement.dataset.ready = "yes";
}

start();
