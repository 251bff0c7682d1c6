// What the answers say: precision with its interval, errors to come, pace.

const Z = 1.96; // 95%
const NEAREST = 50; // decided rows that the look ahead rests on
const ENOUGH = 10; // decided rows below which it says nothing
const AHEAD = 100;
const PAUSE_MS = 60_000; // a longer pause counts as this

function isError(answer) {
  return answer.verdict === "relabel" || answer.verdict === "drop";
}

function isDecided(answer) {
  return answer.verdict !== "unsure";
}

/** Wilson's interval of a share: [low, high]. */
function wilson(hits, trials) {
  const share = hits / trials;
  const scale = 1 + (Z * Z) / trials;
  const centre = (share + (Z * Z) / (2 * trials)) / scale;
  const half = (Z / scale) * Math.sqrt((share * (1 - share)) / trials + (Z * Z) / (4 * trials * trials));
  return [Math.max(0, centre - half), Math.min(1, centre + half)];
}

/** Errors among the decided rows: { errors, decided, low, high }. */
function precision() {
  const decided = [...answers.values()].filter(isDecided);
  const errors = decided.filter(isError).length;
  const [low, high] = decided.length ? wilson(errors, decided.length) : [0, 1];
  return { errors, decided: decided.length, low, high };
}

/** Errors to expect among the next open rows: { rows, expected, low, high }, or null while too few are decided. */
function lookAhead() {
  const open = [];
  for (let index = 0; index < rowCount && open.length < AHEAD; index += 1) if (!answers.has(index)) open.push(index);
  if (!open.length) return null;
  const near = decidedAround(open[open.length >> 1]);
  if (near.length < ENOUGH) return null;
  const errors = near.filter(isError).length;
  const [low, high] = wilson(errors, near.length);
  return { rows: open.length, expected: (errors / near.length) * open.length, low: low * open.length, high: high * open.length };
}

/** The decided answers nearest in rank to a row. */
function decidedAround(middle) {
  const near = [];
  for (let step = 1; step < rowCount && near.length < NEAREST; step += 1) {
    for (const answer of [answers.get(middle - step), answers.get(middle + step)]) {
      if (answer && isDecided(answer)) near.push(answer);
    }
  }
  return near.slice(0, NEAREST);
}

/** Time spent on this reviewer's answers: { rows, minutes }. */
function pace(now = Date.now()) {
  const own = [...answers.values()].filter((answer) => (answer.annotator ?? "") === reviewer);
  const times = own.map((answer) => answer.at).sort((a, b) => a - b);
  let spent = 0;
  times.forEach((time, position) => {
    spent += Math.min(PAUSE_MS, (times[position + 1] ?? now) - time);
  });
  return { rows: times.length, minutes: spent / 60_000 };
}
