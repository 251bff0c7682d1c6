// What the page holds: the rows as columns, the labels, and small helpers to build elements.
// Everything from the corpus reaches the document as text, through `element` or `shownText`; nothing is parsed as markup.

const page = JSON.parse(document.getElementById("data").textContent);
const labels = page.labels;
const rows = page.rows; // column name → array of N values
const rowCount = rows.rank.length;

function byId(id) {
  return document.getElementById(id);
}

/** A new element with a class and children: strings become text. */
function element(tag, className = "", ...children) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  made.append(...children);
  return made;
}

const wholeNumber = new Intl.NumberFormat("en");

function percent(share, digits = 0) {
  return `${(100 * share).toFixed(digits)}%`;
}

/** A probability: finer near both ends, where it matters. */
function shownProbability(share) {
  if (share < 0.001) return "<0.1%";
  if (share >= 0.9995) return ">99.9%";
  return percent(share, share < 0.1 || (share > 0.9 && share < 1) ? 1 : 0);
}

/** P(label) of a row, or null where the page does not carry it. */
function probability(index, label) {
  const found = rows.probabilities[index].find(([shown]) => shown === label);
  return found ? found[1] : null;
}
