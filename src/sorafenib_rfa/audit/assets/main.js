/* Which page and which panel are open is what the address says after its hash. */
"use strict";

(() => {
  const { h, to } = Audit;
  const main = document.getElementById("main");
  const panel = document.getElementById("panel");
  const title = document.getElementById("panel-title");
  const kindOf = document.getElementById("panel-kind");
  const body = document.getElementById("panel-body");
  const frame = document.getElementById("panel-scroll");
  const paper = document.getElementById("paper");
  const narrow = matchMedia("(max-width: 62rem)");
  let page = "paper";
  let opener = null;
  let turn = 0;

  const target = () => {
    try {
      return decodeURIComponent(location.hash.slice(1));
    } catch {
      return "";
    }
  };
  const targetOf = (anchor) => decodeURIComponent(anchor.getAttribute("href").slice(1));

  /* Where the paper prints a target; made once, since there are thousands. */
  Audit.printed = (wanted) => {
    if (!Audit.printed.places) {
      Audit.printed.places = new Map();
      for (const anchor of paper.querySelectorAll("a.val, a.meta")) {
        const known = targetOf(anchor);
        (Audit.printed.places.get(known) ?? Audit.printed.places.set(known, []).get(known)).push(anchor);
      }
    }
    return Audit.printed.places.get(wanted) ?? [];
  };

  /* Every number, sentence and fact of the paper in its order, with the heading or exhibit under which it stands. */
  Audit.everything = () => {
    const found = [];
    let where = "";
    for (const one of paper.querySelectorAll("h1, h2, h3, h4, figcaption, figure, a.val, a.meta, .claim")) {
      if (/^H\d$/.test(one.tagName)) where = one.textContent;
      else if (one.matches("a.val, a.meta")) {
        const label = one.closest("figure, .table-float")?.querySelector("figcaption strong")?.textContent.replace(/\.$/, "");
        found.push({ kind: one.className === "val" ? "number" : "meta", target: targetOf(one), text: one.textContent,
          where: label ?? where, claim: one.closest(".claim")?.dataset.claim ?? "" });
      } else if (one.matches(".claim"))
        found.push({ kind: "claim", target: `claim:${one.dataset.claim}`, text: Audit.said(one), where, claim: "" });
    }
    return found;
  };
  Audit.said = (claim) =>
    [...claim.childNodes].filter((node) => !node.classList?.contains("mark")).map((node) => node.textContent).join("");

  /* --- pages ---------------------------------------------------------------------------------------------------------------- */

  async function showPage(name) {
    const section = document.getElementById(`page-${name}`);
    if (!section) return showPage("paper");
    page = name;
    delete document.body.dataset.page;
    for (const one of main.querySelectorAll(":scope > .page")) one.hidden = one !== section;
    for (const one of document.querySelectorAll("#pages a")) {
      const here = one.getAttribute("href") === `#/${name}`;
      if (here) one.setAttribute("aria-current", "page");
      else one.removeAttribute("aria-current");
      if (here) one.scrollIntoView({ block: "nearest", inline: "nearest" });
    }
    document.title = name === "paper" ? Audit.title : `${section.querySelector("h1").textContent} \u2013 ${Audit.title}`;
    const place = section.querySelector(".made-later");
    if (place && !place.childNodes.length) {
      place.setAttribute("aria-busy", "true");
      try {
        Audit.add(place, [await Audit.pages[name]()]);
      } catch (error) {
        Audit.add(place, [h("p", { class: "warning" }, `This page cannot be shown: ${error.message}`)]);
      }
      place.removeAttribute("aria-busy");
    }
    if (page === name) document.body.dataset.page = name;
    return section;
  }

  /* --- the panel ------------------------------------------------------------------------------------------------------------ */

  function mark(wanted) {
    for (const one of paper.querySelectorAll(".current")) one.classList.remove("current");
    let places = wanted.split(",").flatMap((one) => Audit.printed(one));
    if (wanted.startsWith("claim:")) places = [...paper.querySelectorAll(`.claim[data-claim="${CSS.escape(wanted.slice(6))}"]`)];
    const exhibit = Audit.exhibits?.[wanted];
    if (exhibit && document.getElementById(exhibit)) places = [document.getElementById(exhibit)];
    for (const one of places) one.classList.add("current");
    return places;
  }

  function visible(element) {
    const box = element.getBoundingClientRect();
    return box.bottom > 60 && box.top < innerHeight - 40 && box.width > 0;
  }

  async function open(wanted) {
    const now = (turn += 1);
    if (panel.hidden) opener = document.activeElement !== document.body ? document.activeElement : null;
    const content = await Audit.view(wanted).catch((error) => ({
      kind: "Error", title: "This cannot be shown", body: [h("p", { class: "warning" }, error.message)],
    }));
    if (now !== turn) return;
    kindOf.textContent = content.kind;
    title.replaceChildren();
    Audit.add(title, [content.title]);
    body.replaceChildren();
    Audit.add(body, [content.body]);
    panel.classList.toggle("wide", Boolean(content.wide));
    panel.hidden = false;
    document.body.classList.add("panel-open");
    modal();
    const places = page === "paper" ? mark(wanted) : [];
    if (places.length && !places.some(visible)) places[0].scrollIntoView({ block: "center" });
    frame.scrollTop = 0;
    title.focus({ preventScroll: true });
    document.body.dataset.shown = wanted;
  }

  /* On a narrow screen the panel covers everything: what lies under it is then out of reach. */
  function modal() {
    const covers = narrow.matches && !panel.hidden;
    panel.setAttribute("aria-modal", String(covers));
    for (const one of document.querySelectorAll("body > header, body > main, body > footer, body > .skip-link")) one.inert = covers;
  }

  function close() {
    turn += 1;
    if (panel.hidden) return;
    panel.hidden = true;
    document.body.classList.remove("panel-open");
    delete document.body.dataset.shown;
    for (const one of paper.querySelectorAll(".current")) one.classList.remove("current");
    modal();
    if (opener?.isConnected && !opener.closest("[hidden]")) opener.focus({ preventScroll: true });
    opener = null;
  }

  async function route() {
    const wanted = target();
    if (wanted.startsWith("/") || wanted === "") {
      close();
      const before = page;
      const section = await showPage(wanted.slice(1) || "paper");
      if (before !== page) {
        scrollTo(0, 0);
        section.querySelector("h1").focus({ preventScroll: true });
      }
      return;
    }
    const place = document.getElementById(wanted);
    if (place && paper.contains(place)) {
      close();
      await showPage("paper");
      place.scrollIntoView();
      return;
    }
    await showPage(page);
    await open(wanted);
  }

  const leave = () => (location.hash = `#/${page}`);

  /* --- pressing -------------------------------------------------------------------------------------------------------------- */

  document.addEventListener("click", (event) => {
    if (event.defaultPrevented || event.button !== 0 || !(event.target instanceof Element)) return;
    if (event.target.closest("a, button, summary, input, select, label")) return;
    if (!paper.contains(event.target) || String(getSelection())) return;
    const cell = event.target.closest("td, th");
    const inside = cell ? [...new Set([...cell.querySelectorAll("a.val")].map(targetOf))] : [];
    if (inside.length) {
      location.hash = to(inside.join(","));
      return;
    }
    const image = event.target.closest("figure img") && event.target.closest("figure[data-figure]");
    if (image) location.hash = to(`figure:${image.dataset.figure}`);
    const sentence = !cell && event.target.closest(".claim");
    if (sentence) location.hash = to(`claim:${sentence.dataset.claim}`);
  });

  document.querySelector(".skip-link").addEventListener("click", (event) => {
    event.preventDefault();
    main.focus();
  });
  document.getElementById("panel-close").addEventListener("click", leave);
  document.getElementById("panel-back").addEventListener("click", () => history.back());
  document.getElementById("panel-print").addEventListener("click", () => print());
  for (const one of document.querySelectorAll("[data-print]")) one.addEventListener("click", () => print());

  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !panel.hidden) {
      event.preventDefault();
      leave();
      return;
    }
    if (event.key === "Tab" && !panel.hidden && narrow.matches) keepInside(event);
    const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
    const here = document.activeElement;
    if (step && here?.matches("#paper table a.val") && !event.altKey && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      walk(here, ...step);
    }
  });

  function keepInside(event) {
    const all = [...panel.querySelectorAll("a[href], button, summary, input, [tabindex='0']")].filter((one) => one.getClientRects().length);
    const [first, last] = [all[0], all.at(-1)];
    if (event.shiftKey && (document.activeElement === first || document.activeElement === title)) {
      event.preventDefault();
      last.focus();
    } else if (!event.shiftKey && document.activeElement === last) {
      event.preventDefault();
      first.focus();
    }
  }

  /* A table is one stop of the Tab key; the arrow keys go from number to number within it. */
  function walk(here, down, right) {
    const table = here.closest("table");
    const all = [...table.querySelectorAll("a.val")];
    let next = all[all.indexOf(here) + right];
    if (down) {
      const column = here.closest("td, th").cellIndex;
      let row = here.closest("tr");
      do {
        const rows = [...table.rows];
        row = rows[rows.indexOf(row) + down];
        next = row && [...row.cells].find((cell) => cell.cellIndex >= column && cell.querySelector("a.val"))?.querySelector("a.val");
      } while (row && !next);
    }
    if (!next) return;
    here.tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  }

  function oneStopPerTable() {
    for (const table of paper.querySelectorAll("table"))
      table.querySelectorAll("a.val").forEach((anchor, i) => i && (anchor.tabIndex = -1));
  }

  /* What is unfolded is printed. */
  document.getElementById("panel-unfold").addEventListener("click", () => {
    const all = [...panel.querySelectorAll("details")];
    const open_ = !all.every((one) => one.open);
    for (const one of all) {
      one.fill();
      one.open = open_;
    }
  });

  async function begin() {
    Audit.title = document.title;
    addEventListener("hashchange", route);
    narrow.addEventListener("change", modal);
    const head = document.querySelector("body > header"); // what is scrolled to must not hide under it
    const measure = () => document.documentElement.style.setProperty("--bar", `${head.offsetHeight}px`);
    measure(); // an observer is first heard after the next layout, which may be after the first scroll
    new ResizeObserver(measure).observe(head);
    try {
      const text = await Audit.part("paper"); // its markup was made and sanitised when the site was built
      paper.innerHTML = text.body;
      document.getElementById("contents").innerHTML = text.contents;
      Audit.exhibits = text.exhibits;
    } catch (error) {
      paper.append(h("p", { class: "warning" }, `The paper cannot be shown here: ${error.message}`));
    }
    paper.removeAttribute("aria-busy");
    paper.querySelector("h1")?.setAttribute("tabindex", "-1");
    oneStopPerTable();
    await route();
    document.documentElement.classList.add("ready");
  }

  begin();
})();
