// The row that is looked at: its labels, its text, and how probable the model finds each class.

const FOLD = 1_500; // characters of a text before it folds
const DIGIT_CLASSES = 9; // classes that a digit key can choose among
const unfolded = new Set(); // row indices whose long text is shown whole

function drawExample() {
  const article = byId("example");
  if (current === null) {
    article.replaceChildren(element("p", "nothing", rowCount ? "No row matches. Change the search or the filters." : "This ranking holds no row."));
    return;
  }
  const parts = [facts(current), answerLine(current), verdictCards(current)];
  parts.push(textBlock(rows.text[current], rows.is_pair[current] ? "First text" : ""));
  if (rows.is_pair[current]) parts.push(textBlock(rows.text_pair[current], "Second text"));
  if (rows.left_out[current]) parts.push(element("p", "nothing", `The page leaves out ${wholeNumber.format(rows.left_out[current])} characters.`));
  parts.push(bars(current));
  article.replaceChildren(...parts);
}

function facts(index) {
  const line = element("p", "facts", element("strong", "", `#${wholeNumber.format(rows.rank[index])}`));
  line.append(element("span", "loss", `loss ${rows.loss[index].toFixed(3)}`));
  if (rows.id[index] !== String(rows.row[index])) line.append(element("span", "", "id ", element("bdi", "", oneLine(rows.id[index]))));
  line.append(element("span", "", `row ${wholeNumber.format(rows.row[index])}`));
  if (rows.source_file[index]) {
    const source = element("bdi", "source", oneLine(rows.source_file[index].split("/").pop()));
    source.title = oneLine(rows.source_file[index]);
    line.append(source);
  }
  if (rows.truncated[index]) {
    const cut = element("span", "cut", `cut to ${wholeNumber.format(rows.n_tokens[index])} tokens`);
    cut.title = "The model saw only the beginning of this text.";
    line.append(cut);
  }
  return line;
}

function answerLine(index) {
  const answer = answers.get(index);
  const line = element("p", `answer ${answer?.verdict ?? "open"}`);
  if (!answer) line.append("open");
  else {
    line.append(`${SYMBOLS[answer.verdict]} ${VERDICTS[answer.verdict]}`);
    if (answer.label !== null) line.append(" as ", labelName(answer.label, "corrected"));
    if (answer.annotator && answer.annotator !== reviewer) line.append(" by ", element("bdi", "", oneLine(answer.annotator)));
  }
  return line;
}

function verdictCards(index) {
  const card = (kind, label) => {
    const share = probability(index, label);
    return element("div", `card ${kind}`, element("span", "kind", kind), labelName(label, "label"), element("span", "share", share === null ? "" : shownProbability(share)));
  };
  const cards = element("div", "cards", card("given", rows.label[index]));
  if (rows.predicted[index] === rows.label[index]) cards.firstChild.querySelector(".kind").textContent = "given and predicted";
  else cards.append(card("predicted", rows.predicted[index]));
  return cards;
}

function textBlock(text, heading) {
  const block = element("div", "text-block");
  if (heading) block.append(element("h3", "", heading));
  const whole = unfolded.has(current) || text.length <= FOLD * 1.2 || (pattern && text.slice(FOLD).search(pattern) !== -1);
  const shown = element("div", "text", shownText(whole ? text : `${text.slice(0, FOLD)} …`, pattern));
  shown.dir = "auto";
  block.append(shown);
  if (!whole) {
    const more = element("button", "link", `Show ${wholeNumber.format(text.length - FOLD)} more characters (e)`);
    more.type = "button";
    more.addEventListener("click", unfold);
    block.append(more);
  }
  return block;
}

function unfold() {
  unfolded.add(current);
  drawExample();
}

/** A bar per class; a press on it takes that label. */
function bars(index) {
  const few = labels.length <= DIGIT_CLASSES;
  const shown = [...rows.probabilities[index]];
  if (!few) shown.sort((a, b) => b[1] - a[1]);
  const box = element("div", "bars");
  box.setAttribute("role", "group");
  box.setAttribute("aria-label", "Probability of each class");
  for (const [label, share] of shown) {
    const bar = element("button", "bar");
    bar.type = "button";
    if (label === rows.label[index]) bar.classList.add("given");
    if (label === rows.predicted[index]) bar.classList.add("predicted");
    if (label === answers.get(index)?.label) bar.classList.add("corrected");
    bar.dataset.label = label;
    const fill = element("span", "fill");
    fill.style.width = `${100 * share}%`;
    bar.append(few ? element("kbd", "", String(label + 1)) : element("span"), labelName(label, "label"), element("span", "track", fill), element("span", "share", shownProbability(share)));
    bar.addEventListener("click", () => answerCurrent("relabel", label));
    box.append(bar);
  }
  const rest = labels.length - shown.length;
  if (rest > 0) box.append(element("p", "nothing", `and ${wholeNumber.format(rest)} less probable classes (l chooses among all)`));
  return box;
}
