(() => {
  "use strict";
  const data = JSON.parse(document.getElementById("labmill-data").textContent);
  const element = (name, attributes = {}, text = "") => {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.textContent = text;
    return made;
  };

  // A phone's reader wants the report first.
  const contents = document.querySelector("nav details");
  if (contents && !matchMedia("(min-width: 68rem)").matches) contents.open = false;

  // --- sortable tables ---------------------------------------------------------------
  const UNITS = { k: 1e3, M: 1e6, G: 1e9, T: 1e12, h: 3600, min: 60 };
  const value = (cell) => {
    const text = cell.textContent.trim().replace(/\u2212/g, "-").replace(/,(?=\d{3})/g, "");
    const found = text.match(/^([+-]?\d+(?:\.\d+)?(?:e[+-]?\d+)?)\s*(k|M|G|T|h|min)?\b(?:\s+(\d+)\s*(min|s)\b)?/);
    if (!found) return text === "–" ? null : text.toLowerCase();
    const more = found[3] ? Number(found[3]) * (UNITS[found[4]] || 1) : 0;
    return Number(found[1]) * (UNITS[found[2]] || 1) + more;
  };
  const compare = (a, b) =>
    a === null ? 1 : b === null ? -1
    : typeof a === "number" && typeof b === "number" ? a - b
    : String(a).localeCompare(String(b), undefined, { numeric: true });
  const sort = (table, column, head) => {
    const up = head.getAttribute("aria-sort") !== "ascending";
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    const body = table.tBodies[0];
    const rows = [...body.rows].map((row) => [value(row.cells[column]), row]);
    rows.sort(([a], [b]) => (a === null || b === null || up ? compare(a, b) : compare(b, a)));
    body.append(...rows.map(([, row]) => row));
  };
  for (const table of document.querySelectorAll("main .scroll table")) {
    if (!table.tHead || table.tBodies[0].rows.length < 3) continue;
    [...table.tHead.rows[0].cells].forEach((head, column) => {
      const button = element("button", { type: "button", title: "Sort" });
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => sort(table, column, head));
    });
  }

  // --- interactive charts ------------------------------------------------------------
  const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const theme = (wide) => {
    const text = { labelColor: color("--ink"), titleColor: color("--ink") };
    return {
      axis: { ...text, gridColor: color("--grid"), domainColor: color("--muted"), tickColor: color("--muted"), labelFontSize: 12, titleFontSize: 12, titleFontWeight: 500 },
      legend: { ...text, labelFontSize: 12, columns: wide ? 3 : 1, labelLimit: wide ? 220 : 290, layout: { top: { anchor: "start", direction: wide ? "horizontal" : "vertical", margin: 6 } } }, header: text, title: { color: color("--ink") },
      text: { color: color("--ink") },
    };
  };
  const draw = async (place) => {
    const spec = structuredClone(data.charts[place.dataset.chart]);
    const still = place.previousElementSibling;
    place.hidden = false;
    spec.config = { ...spec.config, ...theme(place.clientWidth > 520) };
    await window.vegaEmbed(place, spec, { actions: false, renderer: "svg" });
    still.hidden = true;
    const alt = still.firstElementChild.getAttribute("aria-label");
    place.querySelector("svg").setAttribute("aria-label", alt);
    place.dataset.state = "drawn";
  };
  const charts = [...document.querySelectorAll("[data-chart]")];
  const drawAll = () => charts.filter((c) => c.dataset.state).forEach(draw);
  const seen = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      seen.unobserve(entry.target);
      const place = entry.target.querySelector("[data-chart]");
      place.dataset.state = "drawing";
      draw(place);
    }
  }, { rootMargin: "400px" });
  for (const chart of charts) seen.observe(chart.parentElement);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);

  // --- prediction explorer -----------------------------------------------------------
  const explore = (place, { classes, counts, cells, width, rows, picture }) => {
    const percent = (n) => `${(100 * n).toFixed(0)} %`;
    const table = element("table");
    table.append(element("caption", {}, "Test images by true class (row) and prediction (column). Choose a cell to see its images."));
    const names = table.createTHead().insertRow();
    names.append(element("td"));
    for (const name of classes) names.append(element("th", { scope: "col" }, name));
    const body = table.createTBody();
    const examples = element("div", { class: "examples", "aria-live": "polite" });
    const show = (button, i, j) => {
      body.querySelectorAll("[aria-pressed=true]").forEach((b) => b.setAttribute("aria-pressed", "false"));
      button.setAttribute("aria-pressed", "true");
      examples.replaceChildren(...cells[`${i}-${j}`].map(([number, sure]) => {
        const figure = element("figure");
        const words = `${classes[i]} taken for ${classes[j]}, ${percent(sure)} sure`;
        const thumb = element("div", { class: "thumb", role: "img", "aria-label": words });
        thumb.style.backgroundImage = `url(${picture})`;
        thumb.style.backgroundSize = `${100 * width}% ${100 * rows}%`;
        const at = (n, of) => (of > 1 ? (100 * n) / (of - 1) : 0);
        thumb.style.backgroundPosition = `${at(number % width, width)}% ${at(Math.floor(number / width), rows)}%`;
        figure.append(thumb, element("figcaption", {}, words));
        return figure;
      }));
    };
    counts.forEach((line, i) => {
      const row = body.insertRow();
      row.append(element("th", { scope: "row" }, classes[i]));
      const total = Math.max(1, line.reduce((a, b) => a + b, 0));
      line.forEach((count, j) => {
        const cell = row.insertCell();
        if (!count) { cell.append(element("span")); return; }
        const label = `${count} images of ${classes[i]} predicted as ${classes[j]}`;
        const button = element("button", { type: "button", "aria-pressed": "false", "aria-label": label }, count);
        const share = count / total;
        const [red, green, blue] = i === j ? [0, 90, 143] : [160, 65, 0];
        const deep = i === j ? share : Math.min(1, 0.25 + 2 * share);
        const mix = (c) => Math.round(246 + (c - 246) * deep);
        button.style.background = `rgb(${mix(red)} ${mix(green)} ${mix(blue)})`;
        button.style.color = deep > 0.6 ? "#fff" : "#0f1720";
        button.addEventListener("click", () => show(button, i, j));
        cell.append(button);
      });
    });
    const scroll = element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Confusion matrix with images" });
    scroll.append(table);
    place.append(scroll, examples);
    const largest = Object.keys(cells).map((key) => key.split("-").map(Number))
      .filter(([i, j]) => i !== j).sort(([a, b], [c, d]) => counts[c][d] - counts[a][b])[0];
    if (largest) show(body.rows[largest[0]].cells[largest[1] + 1].firstElementChild, ...largest);
  };
  const place = document.getElementById("labmill-explorer");
  if (place && data.explorer) explore(place, data.explorer);
})();
