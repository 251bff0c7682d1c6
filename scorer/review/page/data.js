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

function percent(share) {
  const digits = share > 0 && share < 0.0995 ? 1 : share > 0.9 && share < 1 ? 1 : 0;
  if (share > 0 && share < 0.001) return "<0.1%";
  return `${(100 * share).toFixed(digits)}%`;
}

/** P(label) of a row, or null where the page does not carry it. */
function probability(index, label) {
  const found = rows.probabilities[index].find(([shown]) => shown === label);
  return found ? found[1] : null;
}
