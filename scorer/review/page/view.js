// Which rows are listed, in which order, and which one is looked at.

const NO_FILTER = "";
const filter = { search: "", given: NO_FILTER, predicted: NO_FILTER, status: NO_FILTER, sort: "rank" };
let pattern = null; // the search as a pattern
let matching = null; // Uint8Array [N]: whether a row holds the search; null without one
let view = []; // row indices, in the order of the list
let current = rowCount ? 0 : null; // row index that is looked at

const STATUSES = {
  open: (answer) => !answer,
  reviewed: (answer) => Boolean(answer),
  keep: (answer) => answer?.verdict === "keep",
  relabel: (answer) => answer?.verdict === "relabel",
  unsure: (answer) => answer?.verdict === "unsure",
  drop: (answer) => answer?.verdict === "drop",
};
const STATUS_NAMES = { open: "open", reviewed: "reviewed", ...VERDICTS };

const ORDERS = {
  rank: (a, b) => a - b,
  "loss, highest": (a, b) => rows.loss[b] - rows.loss[a] || a - b,
  "loss, lowest": (a, b) => rows.loss[a] - rows.loss[b] || b - a,
  "given label": (a, b) => rows.label[a] - rows.label[b] || a - b,
  "predicted label": (a, b) => rows.predicted[a] - rows.predicted[b] || a - b,
  "text, longest": (a, b) => rows.text[b].length - rows.text[a].length || a - b,
};

function searchFor(search) {
  filter.search = search;
  pattern = searchPattern(search);
  if (!pattern) {
    matching = null;
    return;
  }
  const once = new RegExp(pattern.source, "iu"); // without memory, so that `test` always starts at the beginning
  matching = Uint8Array.from(rows.text, (text, index) =>
    Number(once.test(text) || once.test(rows.text_pair[index]) || once.test(rows.id[index])),
  );
}

/** List the rows again that pass all filters. */
function refilter() {
  const wanted = (column, value) => value === NO_FILTER || column === Number(value);
  const status = STATUSES[filter.status] ?? (() => true);
  const found = [];
  for (let index = 0; index < rowCount; index += 1) {
    if (matching && !matching[index]) continue;
    if (!wanted(rows.label[index], filter.given) || !wanted(rows.predicted[index], filter.predicted)) continue;
    if (status(answers.get(index))) found.push(index);
  }
  view = found.sort(ORDERS[filter.sort]);
}

/** The next open row of the list after a row, or from the top; null when none is open. */
function nextOpen(after) {
  const from = view.indexOf(after) + 1;
  for (let step = 0; step < view.length; step += 1) {
    const index = view[(from + step) % view.length];
    if (!answers.has(index)) return index;
  }
  return null;
}

/** The row so many places further in the list; the ends hold. */
function neighbour(index, step) {
  const place = view.indexOf(index);
  if (place === -1) return view[0] ?? null;
  return view[Math.min(view.length - 1, Math.max(0, place + step))];
}
