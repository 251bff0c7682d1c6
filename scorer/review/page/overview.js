// The whole ranking at a glance: figures, captions for the pictures, and a table of the classes.

function drawOverview() {
  const about = page.about;
  byId("open-overview").hidden = !about;
  if (!about) return;
  const { rows: all, head_rows: head, expected_head: inHead, expected_all: inAll } = about;
  byId("overview-summary").append(
    element("p", "", `${wholeNumber.format(all)} rows ranked by ${page.ranked_by}; this page holds the first ${wholeNumber.format(head)}.`),
    element("p", "", `The model expects ${wholeNumber.format(Math.round(inHead))} wrong labels among them and ${wholeNumber.format(Math.round(inAll))} in all: `
      + "the sum of 1 − P(given label). That takes its probabilities at their word; its own mistakes count as label errors, so your answers are the better judge."),
  );
  const captions = {
    losses: "Rows by loss, on a logarithmic scale; the rows of this page are set off.",
    expected: "Errors expected down to each rank, if the model's probabilities are right. The straight line is a head of nothing but errors.",
    confusion: "Given against predicted labels of this page's rows: where label errors go.",
  };
  for (const [name, caption] of Object.entries(captions)) {
    const figure = byId(`figure-${name}`);
    if (figure.querySelector("svg")) figure.querySelector("figcaption").textContent = caption;
    else figure.remove();
  }
  if (!document.querySelector("#pictures figure")) {
    byId("overview-summary").append(element("p", "nothing", "No pictures: the report was written without matplotlib (pip install 'scorer-onnx[report]')."));
  }
  drawClasses(about.classes);
}

const CLASS_COLUMNS = ["class", "rows", "on this page", "expected errors", "mean loss", "mostly predicted"];

function drawClasses(classes) {
  const header = element("tr", "", ...CLASS_COLUMNS.map((name) => element("th", "", name)));
  const most = Math.max(...classes.map((one) => one.head_rows), 1);
  const lines = classes.map((one) => {
    const share = element("td", "number bar-cell", wholeNumber.format(one.head_rows));
    const fill = element("span", "fill");
    fill.style.width = `${(100 * one.head_rows) / most}%`;
    share.append(fill);
    const instead = one.instead === null ? element("td", "", "") : element("td", "", labelName(one.instead), ` (${wholeNumber.format(one.instead_rows)})`);
    return element(
      "tr", "", element("th", "", labelName(one.label)), element("td", "number", wholeNumber.format(one.rows)), share,
      element("td", "number", one.expected_errors.toFixed(1)), element("td", "number", one.rows ? one.mean_loss.toFixed(3) : ""), instead,
    );
  });
  byId("classes").append(element("thead", "", header), element("tbody", "", ...lines));
}
