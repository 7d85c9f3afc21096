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

  // --- tables to take along ------------------------------------------------------------
  const quoted = (text) => (/[",\n]/.test(text) ? `"${text.replace(/"/g, '""')}"` : text);
  const tex = (text) => text.replace(/[&%$#_{}]/g, "\\$&").replace(/\u2212/g, "$-$").replace(/[–—]/g, "--");
  const piped = (row) => `| ${row.map((text) => text.replace(/\|/g, "\\|")).join(" | ")} |`;
  const FORMS = {
    CSV: (rows) => rows.map((row) => row.map(quoted).join(",")).join("\n"),
    Markdown: ([head, ...rows]) => [head, head.map(() => "---"), ...rows].map(piped).join("\n"),
    LaTeX: ([head, ...rows]) => [
      `\\begin{tabular}{l${"r".repeat(head.length - 1)}}`, "\\toprule", `${head.map(tex).join(" & ")} \\\\`, "\\midrule",
      ...rows.map((row) => `${row.map(tex).join(" & ")} \\\\`), "\\bottomrule", "\\end{tabular}",
    ].join("\n"),
  };
  for (const table of document.querySelectorAll("main .scroll table")) {
    if (!table.tHead) continue;
    const bar = element("div", { class: "copy screen" }, "Copy as ");
    for (const [name, form] of Object.entries(FORMS)) {
      const button = element("button", { type: "button" }, name);
      button.addEventListener("click", async () => {
        const rows = [...table.rows].map((row) => [...row.cells].map((cell) => cell.textContent.trim()));
        await navigator.clipboard.writeText(form(rows));
        button.textContent = "copied";
        setTimeout(() => { button.textContent = name; }, 1500);
      });
      bar.append(button);
    }
    table.closest(".scroll").after(bar);
  }

  // --- variants ----------------------------------------------------------------------
  // One choice for all figures and tables; no choice shows all.
  const chosen = new Set();
  const boxes = new Map();
  const choose = (name) => {
    if (!chosen.delete(name)) chosen.add(name);
    for (const [label, box] of boxes) box.checked = chosen.has(label);
    for (const figure of document.querySelectorAll(".drawing svg")) {
      const marks = [...figure.querySelectorAll("[data-of]")];
      const filtered = marks.some((mark) => chosen.has(mark.dataset.of));
      for (const mark of marks) mark.classList.toggle("faint", filtered && !chosen.has(mark.dataset.of));
    }
    for (const body of document.querySelectorAll("main .scroll tbody")) {
      const rows = [...body.rows].map((row) => [row, row.cells[0].textContent.trim()]);
      const filtered = rows.some(([, label]) => chosen.has(label));
      for (const [row, label] of rows) row.classList.toggle("faint", filtered && !chosen.has(label));
    }
  };
  document.querySelector("main").addEventListener("click", (event) => {
    const mark = event.target.closest("svg [data-of]");
    if (mark) choose(mark.dataset.of);
  });
  const nav = document.querySelector("nav");
  if (data.variants.length > 1) {
    const selector = element("details", { class: "selector" });
    const group = element("div", { role: "group", "aria-label": "Variants shown" });
    for (const label of data.variants) {
      const line = element("label");
      const box = element("input", { type: "checkbox" });
      box.addEventListener("change", () => choose(label));
      boxes.set(label, box);
      line.append(box, ` ${label}`);
      group.append(line);
    }
    selector.append(element("summary", {}, "Variants"), group);
    nav.append(selector);
  }

  // --- the files behind the page -------------------------------------------------------
  const files = element("p", { class: "files screen" }, "Data: ");
  for (const [name, kind, text] of [
    ["runs.csv", "text/csv", data.runs], ["claims.json", "application/json", JSON.stringify(data.claims, null, 1)],
  ]) {
    const link = element("a", { href: "#", download: name }, name);
    link.addEventListener("click", () => { link.href = URL.createObjectURL(new Blob([text], { type: kind })); });
    files.append(link, " ");
  }
  nav.append(files);

  // --- contents: the current section ---------------------------------------------------
  const entries = [...nav.querySelectorAll('a[href^="#section-"]')];
  const spy = () => {
    const current = entries.filter((entry) => {
      const target = document.getElementById(entry.hash.slice(1));
      return target && target.getBoundingClientRect().top < innerHeight / 3;
    }).pop();
    for (const entry of entries) entry.toggleAttribute("aria-current", entry === current);
  };
  addEventListener("scroll", spy, { passive: true });
  spy();

  // --- claims: a card at each link -----------------------------------------------------
  const card = element("div", { class: "card", role: "tooltip", id: "labmill-card", hidden: "" });
  document.body.append(card);
  const plain = (text) => text.replace(/\\([^\w\s])/g, "$1");
  const show = (link) => {
    const claim = data.claims[Number(link.hash.slice(7)) - 1];
    if (!claim) return;
    const facts = [
      claim.verdict, claim.test, claim.n && `n = ${claim.n}`, claim.p_adjusted !== null && `p = ${claim.p_adjusted.toPrecision(2)}`,
    ].filter(Boolean).join(" · ");
    card.replaceChildren(
      element("strong", {}, `C${claim.number}`), element("p", {}, plain(claim.statement)), element("p", { class: "facts" }, facts),
    );
    link.setAttribute("aria-describedby", card.id);
    card.hidden = false;
    putBeside(link);
  };
  const putBeside = (link) => {
    const at = link.getBoundingClientRect();
    const top = at.bottom + card.offsetHeight + 8 < innerHeight ? at.bottom + 4 : at.top - card.offsetHeight - 4;
    card.style.top = `${Math.max(0, top)}px`;
    card.style.left = `${Math.max(8, Math.min(at.left, innerWidth - card.offsetWidth - 8))}px`;
  };
  const hide = () => { card.hidden = true; };
  for (const link of document.querySelectorAll('main a[href^="#claim-"]')) {
    for (const kind of ["mouseenter", "focus"]) link.addEventListener(kind, () => show(link));
    for (const kind of ["mouseleave", "blur"]) link.addEventListener(kind, hide);
  }
  addEventListener("keydown", (event) => { if (event.key === "Escape") hide(); });
  // The browser scrolls to a link that gets the focus: its card goes with it.
  addEventListener("scroll", () => {
    const link = document.activeElement;
    if (link.getAttribute("aria-describedby") === card.id && !card.hidden) putBeside(link);
    else hide();
  }, { passive: true });

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
