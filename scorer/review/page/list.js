// The list: as long as the view, drawn only where it is seen.

const ENTRY_HEIGHT = 62; // px, as in page.css
const MARGIN = 8; // entries drawn above and below what is seen
const EXCERPT = 160; // characters of an entry's text

const SYMBOLS = { keep: "✓", relabel: "→", unsure: "?", drop: "✕" };
const list = byId("list");
const listSpace = byId("list-space");

/** Draw the entries that can be seen. */
function drawList() {
  const first = Math.max(0, Math.floor(list.scrollTop / ENTRY_HEIGHT) - MARGIN);
  const last = Math.min(view.length, Math.ceil((list.scrollTop + list.clientHeight) / ENTRY_HEIGHT) + MARGIN);
  const entries = [];
  for (let place = first; place < last; place += 1) entries.push(entry(view[place], place));
  listSpace.style.height = `${view.length * ENTRY_HEIGHT}px`;
  listSpace.replaceChildren(...entries);
  list.setAttribute("aria-activedescendant", current === null ? "" : `entry-${current}`);
}

function entry(index, place) {
  const answer = answers.get(index);
  const made = element("div", `entry${answer ? ` answered ${answer.verdict}` : ""}${index === current ? " current" : ""}`);
  made.id = `entry-${index}`;
  made.dataset.index = index;
  made.setAttribute("role", "option");
  made.setAttribute("aria-selected", String(index === current));
  made.setAttribute("aria-posinset", place + 1);
  made.setAttribute("aria-setsize", view.length);
  made.style.top = `${place * ENTRY_HEIGHT}px`;
  const names = element("span", "names", labelName(rows.label[index], answer && isError(answer) ? "given gone" : "given"));
  if (answer?.verdict === "relabel") names.append(" → ", labelName(answer.label, "corrected"));
  else if (rows.predicted[index] !== rows.label[index]) names.append(" · ", labelName(rows.predicted[index], "predicted"));
  const text = element("span", "excerpt", shownText(oneLine(excerptOf(index)), pattern));
  text.dir = "auto";
  const symbol = element("span", "symbol", answer ? SYMBOLS[answer.verdict] : "");
  if (answer) symbol.title = VERDICTS[answer.verdict];
  made.append(element("span", "rank", wholeNumber.format(rows.rank[index])), symbol, names, element("span", "loss", rows.loss[index].toFixed(2)), text);
  return made;
}

/** The text's beginning, or what stands around the first search hit. */
function excerptOf(index) {
  const text = rows.text[index];
  const hit = pattern ? text.search(pattern) : -1;
  const from = hit > EXCERPT / 3 ? hit - 20 : 0;
  return (from ? "… " : "") + text.slice(from, from + EXCERPT);
}

/** Scroll so that the current row is seen, with a little of what comes before and after it. */
function scrollToCurrent() {
  const place = view.indexOf(current);
  if (place === -1) return;
  const first = (place - 1) * ENTRY_HEIGHT;
  const last = (place + 3) * ENTRY_HEIGHT - list.clientHeight;
  if (first < list.scrollTop) list.scrollTop = Math.max(0, first);
  else if (last > list.scrollTop) list.scrollTop = last;
}
