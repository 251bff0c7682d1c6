// Texts from strangers: characters that hide or reorder are shown as signs, and search hits are marked.

// Control characters but tab and line feed, zero-width marks, direction controls, separators, tags (but in flags).
const SIGNS =
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff]|(?<![\u0590-\uffff])\u200c|(?<![\u{1f3f4}\u{e0020}-\u{e007f}])[\u{e0000}-\u{e007f}]/gu;

function signOf(character) {
  const code = character.codePointAt(0);
  if (code < 0x20) return String.fromCodePoint(0x2400 + code); // Unicode's control pictures
  if (code === 0x7f) return "\u2421";
  return `U+${code.toString(16).toUpperCase().padStart(4, "0")}`;
}

/** The text on one line with signs, as a string: for list entries, options and attributes. */
function oneLine(text) {
  return text.replace(/\s*[\r\n\t]+\s*/g, " ").replace(SIGNS, signOf);
}

/** The text as nodes, lines kept, signs as elements, matches of the pattern marked. */
function shownText(text, pattern = null) {
  const made = document.createDocumentFragment();
  const whole = text.replace(/\r\n/g, "\n");
  let from = 0;
  for (const match of pattern ? whole.matchAll(pattern) : []) {
    appendSigned(made, whole.slice(from, match.index));
    const mark = element("mark");
    appendSigned(mark, match[0]);
    made.append(mark);
    from = match.index + match[0].length;
  }
  appendSigned(made, whole.slice(from));
  return made;
}

function appendSigned(parent, text) {
  let from = 0;
  for (const match of text.matchAll(SIGNS)) {
    parent.append(text.slice(from, match.index), element("span", "sign", signOf(match[0])));
    from = match.index + match[0].length;
  }
  parent.append(text.slice(from));
}

/** A label's name, set apart from the direction of what stands around it. */
function labelName(label, className = "") {
  return element("bdi", className, oneLine(labels[label] ?? `#${label}`));
}

/** A search as a pattern that finds it literally, whatever its case; null for none. */
function searchPattern(search) {
  const words = search.trim();
  return words ? new RegExp(words.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&"), "giu") : null;
}
