// What the answers say: precision with its interval, errors to come, pace.

const Z = 1.96; // 95%
// The look ahead is the estimate of `scorer corrections --ranking` (errors_left.py): the same curve, the same figure.
const AHEAD = 100;
const FEWEST_DECIDED = 20; // rows below which no curve is fitted
const PRIOR_SCALE = 2.5; // standard deviation of the weak prior on slope and offset
const STEPS = 50;
const SMALLEST_LOSS = 1e-6;
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

/** Errors to expect among the undecided rows that cost the model most: { rows, expected }, or null where none can be told. */
function lookAhead() {
  const scale = rows.loss.map(logOdds);
  const undecided = [];
  const decided = [];
  for (let index = 0; index < rowCount; index += 1) {
    const answer = answers.get(index);
    if (answer && isDecided(answer)) decided.push([scale[index], isError(answer) ? 1 : 0]);
    else undecided.push(Math.round(100 * scale[index]) / 100);
  }
  const errors = decided.reduce((sum, [, wrong]) => sum + wrong, 0);
  if (!undecided.length || decided.length < FEWEST_DECIDED || errors === 0 || errors === decided.length) return null;
  const mean = decided.reduce((sum, [value]) => sum + value, 0) / decided.length;
  const variance = decided.reduce((sum, [value]) => sum + (value - mean) ** 2, 0) / decided.length;
  const spread = Math.max(Math.sqrt(variance), 1e-6);
  const [offset, slope] = fitted(decided.map(([value, wrong]) => [(value - mean) / spread, wrong]));
  const next = undecided.sort((a, b) => b - a).slice(0, AHEAD);
  const expected = next.reduce((sum, value) => sum + logistic(offset + (slope * (value - mean)) / spread), 0);
  return { rows: next.length, expected };
}

/** The model's log odds against the given label. */
function logOdds(loss) {
  const bounded = Math.max(loss, SMALLEST_LOSS);
  return bounded + Math.log(-Math.expm1(-bounded));
}

function logistic(value) {
  return 1 / (1 + Math.exp(-value));
}

/** Offset and slope of a logistic curve through [value, outcome], by Newton's method with a normal prior. */
function fitted(points) {
  const precision = 1 / PRIOR_SCALE ** 2;
  let offset = 0;
  let slope = 0;
  for (let step = 0; step < STEPS; step += 1) {
    let [g0, g1, h00, h01, h11] = [-precision * offset, -precision * slope, precision, 0, precision];
    for (const [value, outcome] of points) {
      const chance = logistic(offset + slope * value);
      const weight = chance * (1 - chance);
      g0 += outcome - chance;
      g1 += (outcome - chance) * value;
      h00 += weight;
      h01 += weight * value;
      h11 += weight * value * value;
    }
    const determinant = h00 * h11 - h01 * h01;
    const [d0, d1] = [(h11 * g0 - h01 * g1) / determinant, (h00 * g1 - h01 * g0) / determinant];
    offset += d0;
    slope += d1;
    if (Math.max(Math.abs(d0), Math.abs(d1)) < 1e-9) break;
  }
  return [offset, slope];
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
