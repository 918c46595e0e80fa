"use strict";
(() => {
  const LEAST_PX = 130, MOST_PX = 860, BESIDE_PX = 70, GAP_PX = 24, LEGEND_PX = 90;
  const specs = JSON.parse(document.getElementById("specs").textContent);
  const places = [...document.querySelectorAll("[data-chart]")];
  const table = document.querySelector("table.settings");
  const rows = table ? [...table.tBodies[0].rows] : [];
  const marking = new Map(); // views that can mark a setting, by the name of the chart

  // A chart with panels that fit into the page: side by side if there is room, else in one column.
  function fitted(spec, width) {
    const copy = structuredClone(spec), column = copy.facet?.column;
    const values = new Set(copy.data.values.map((row) => column && row[column.field]));
    const room = width - BESIDE_PX - GAP_PX * (values.size - 1);
    let panel = Math.floor(room / values.size);
    if (column && panel < LEAST_PX) {
      stack(copy);
      panel = width - BESIDE_PX;
    }
    panel = Math.min(MOST_PX, Math.max(LEAST_PX, panel));
    (copy.spec ?? copy).width = panel;
    copy.config.axisX = { titleLimit: panel + BESIDE_PX / 2 };
    copy.config.legend.columns = Math.max(1, Math.floor(width / LEGEND_PX));
    return copy;
  }

  function stack(spec) {
    const parts = [spec.facet.row, spec.facet.column].filter(Boolean);
    const order = parts.map((part) => part.sort).reduce((all, own) => all.flatMap((a) => own.map((b) => `${a}, ${b}`)));
    const name = parts.map((part) => `datum["${part.field}"]`).join(" + ', ' + ");
    spec.transform = [...(spec.transform ?? []), { calculate: name, as: "panel_name" }];
    spec.facet = {
      field: "panel_name", type: "nominal", title: null, sort: order,
      header: { labelFontWeight: "bold", labelAnchor: "start" },
    };
    spec.columns = 1;
  }

  async function draw(place) {
    const name = place.dataset.chart, style = getComputedStyle(place);
    const width = place.clientWidth - parseFloat(style.paddingRight);
    const { view } = await vegaEmbed(place, fitted(specs[name], width), {
      mode: "vega-lite",
      renderer: "svg",
      actions: { export: true, source: false, compiled: false, editor: false },
      tooltip: { disableDefaultStyle: true },
    });
    if (specs[name].params?.some((one) => one.name === "picked")) {
      marking.set(name, view);
      view.addEventListener("mouseover", (_, item) => item?.datum?.setting && pick(item.datum.setting));
    }
  }

  function pick(setting) {
    for (const row of rows) row.classList.toggle("picked", row.dataset.setting === setting);
    for (const view of marking.values()) view.signal("picked", setting).runAsync();
  }

  function sort(header) {
    const down = header.ariaSort === "ascending", column = header.cellIndex;
    for (const other of table.tHead.rows[0].cells) other.ariaSort = "none";
    header.ariaSort = down ? "descending" : "ascending";
    const key = (row) => Number(row.cells[column].dataset.key);
    rows.sort((one, other) => (down ? key(other) - key(one) : key(one) - key(other)));
    table.tBodies[0].append(...rows);
  }

  table?.tHead.addEventListener("click", (event) => {
    const header = event.target.closest("th");
    if (header) sort(header);
  });
  for (const kind of ["mouseover", "focusin", "click"])
    table?.tBodies[0].addEventListener(kind, (event) => pick(event.target.closest("tr").dataset.setting));

  const drawAll = () => Promise.all(places.map(draw));
  let width = innerWidth, waiting;
  addEventListener("resize", () => {
    if (innerWidth === width) return;
    width = innerWidth;
    clearTimeout(waiting);
    waiting = setTimeout(drawAll, 200);
  });
  addEventListener("beforeprint", () => {
    for (const part of document.querySelectorAll("main details")) part.open = true;
  });
  drawAll().then(() => { document.documentElement.dataset.drawn = "all"; });
})();
