// The reviewer's answers: kept in memory, in the browser's storage as they are given, and undone one by one.

const VERDICTS = { keep: "given is right", relabel: "relabelled", unsure: "unsure", drop: "dropped" };
const STORAGE_KEY = `scorer-review:${page.run}`;
const NAME_KEY = "scorer-review-name"; // a reviewer stays the same person on every page

const answers = new Map(); // row index → { verdict, label: class index or null, at: ms, annotator }
const undoable = []; // { index, before }: what an answer replaced
let kept = {}; // what the storage holds: key of a row → [verdict, label name, at, annotator]; rows of other pages too
let reviewer = "";

/** What the storage knows a row by, so that rows keep their answers on another page of the run: id, text, given label, and
 *  how many rows of this page are alike and stand before it. */
const storageKeys = rows.id.map((id, index) => JSON.stringify([id, rows.hash[index], labels[rows.label[index]]]));
const alike = new Map();
storageKeys.forEach((key, index) => {
  const before = alike.get(key) ?? 0;
  alike.set(key, before + 1);
  storageKeys[index] = `${before}:${key}`;
});

function give(index, verdict, label = null) {
  if (verdict === "relabel" && label === rows.label[index]) [verdict, label] = ["keep", null];
  replaceAnswer(index, { verdict, label, at: Date.now(), annotator: reviewer || null });
}

function takeBack(index) {
  if (answers.has(index)) replaceAnswer(index, undefined);
}

function replaceAnswer(index, answer) {
  undoable.push({ index, before: answers.get(index) });
  put(index, answer);
  store();
}

/** Undo the last change; returns its row index, or null when there is none. */
function undo() {
  const last = undoable.pop();
  if (!last) return null;
  put(last.index, last.before);
  store();
  return last.index;
}

function put(index, answer) {
  if (answer) {
    answers.set(index, answer);
    const label = answer.label === null ? null : labels[answer.label];
    kept[storageKeys[index]] = [answer.verdict, label, answer.at, answer.annotator];
  } else {
    answers.delete(index);
    delete kept[storageKeys[index]];
  }
}

const STORE_AFTER_MS = 100; // the answer is drawn first
let storing = 0;

/** Write to the browser's storage in a moment; whoever leaves before is served by `storeNow`. */
function store() {
  storing ||= setTimeout(storeNow, STORE_AFTER_MS);
}

/** Write to the browser's storage, or say that it refuses. */
function storeNow() {
  clearTimeout(storing);
  storing = 0;
  try {
    localStorage.setItem(STORAGE_KEY, JSON.stringify(kept));
    localStorage.setItem(NAME_KEY, reviewer);
  } catch {
    warnThatAnswersAreNotKept();
  }
}

/** Read the storage, as at the start and when another tab has written. */
function restore() {
  try {
    kept = JSON.parse(localStorage.getItem(STORAGE_KEY)) ?? {};
    reviewer = localStorage.getItem(NAME_KEY) ?? "";
  } catch {
    warnThatAnswersAreNotKept();
  }
  answers.clear();
  undoable.length = 0;
  for (let index = 0; index < rowCount; index += 1) {
    const stored = kept[storageKeys[index]];
    if (!stored) continue;
    const [verdict, name, at, annotator] = stored;
    const label = name === null ? null : labels.indexOf(name);
    if (Object.hasOwn(VERDICTS, verdict) && label !== -1) answers.set(index, { verdict, label, at, annotator });
  }
}

let unkept = false;

function warnThatAnswersAreNotKept() {
  unkept = true;
  const notice = byId("notice");
  notice.textContent = "This browser keeps no data for this page: answers are lost when it closes. Download before you leave.";
  notice.hidden = false;
}
