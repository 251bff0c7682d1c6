// Answers out and in, as a corrections file: JSON Lines with a header, one line per answered row.

const FORMAT_VERSION = 1;

function inUtc(ms) {
  return new Date(ms).toISOString().replace(/\.\d+Z$/, "Z");
}

function correctionsFile() {
  const header = { scorer_corrections: FORMAT_VERSION, label_names: labels, model: page.model, created: inUtc(Date.now()) };
  const lines = [...answers.entries()].sort(([a], [b]) => a - b).map(([index, answer]) => ({
    id: rows.id[index],
    row: rows.row[index],
    source_file: rows.source_file[index],
    text_hash: rows.hash[index],
    given_label: labels[rows.label[index]],
    corrected_label: answer.label === null ? null : labels[answer.label],
    verdict: answer.verdict,
    annotator: answer.annotator,
    at: inUtc(answer.at),
    source: "report",
    rank: rows.rank[index],
  }));
  return [header, ...lines].map((line) => `${JSON.stringify(line)}\n`).join("");
}

function download() {
  const name = reviewer.replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-|-$/g, "");
  const link = element("a");
  link.download = `corrections${name ? `-${name}` : ""}.jsonl`;
  link.href = URL.createObjectURL(new Blob([correctionsFile()], { type: "application/x-ndjson" }));
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/** Take a file's answers over: { taken, older, elsewhere }. Throws an Error that names the line it cannot read. */
function takeOver(content) {
  const places = new Map(); // id, text hash and given label → row indices
  for (let index = 0; index < rowCount; index += 1) {
    const key = JSON.stringify([rows.id[index], rows.hash[index], labels[rows.label[index]]]);
    places.set(key, [...(places.get(key) ?? []), index]);
  }
  const read = content.replace(/^\ufeff/, "").split("\n").flatMap(readLine);
  const outcome = { taken: 0, older: 0, elsewhere: 0 };
  for (const { line, answer } of read) {
    const found = places.get(JSON.stringify([line.id, line.text_hash, line.given_label])) ?? [];
    const own = found.filter((place) => rows.row[place] === line.row); // of rows that are alike
    const newer = (own.length ? own : found).filter((index) => (answers.get(index)?.at ?? -1) < answer.at);
    newer.forEach((index) => put(index, answer));
    if (!found.length) outcome.elsewhere += 1;
    else if (newer.length) outcome.taken += 1;
    else outcome.older += 1;
  }
  undoable.length = 0;
  store();
  return outcome;
}

function readLine(text, position) {
  if (!text.trim()) return [];
  let line;
  try {
    line = JSON.parse(text);
  } catch {
    throw new Error(`line ${position + 1} is not JSON`);
  }
  if (line === null || typeof line !== "object") throw new Error(`line ${position + 1} is not a JSON object`);
  if (position === 0 && "scorer_corrections" in line) {
    if (line.scorer_corrections !== FORMAT_VERSION) throw new Error(`it is of version ${line.scorer_corrections}, this page reads ${FORMAT_VERSION}`);
    return [];
  }
  if (!Object.hasOwn(VERDICTS, line.verdict) || typeof line.text_hash !== "string") throw new Error(`line ${position + 1} is no correction`);
  const label = line.verdict === "relabel" ? labels.indexOf(line.corrected_label) : null;
  if (label === -1) throw new Error(`line ${position + 1} names a label that this run does not have`);
  const at = Date.parse(line.at ?? "") || 0;
  return [{ line, answer: { verdict: line.verdict, label, at, annotator: line.annotator ?? null } }];
}
