/* Elements, text and data. Nothing from the data ever becomes markup: text nodes and attributes only. */
/* global fzstd */
"use strict";

const Audit = {};

(() => {
  /* Characters that would act instead of being seen: control characters, marks that turn the reading direction. */
  const ACTING = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g;

  function textInto(parent, text) {
    let from = 0;
    for (const found of text.matchAll(ACTING)) {
      parent.append(text.slice(from, found.index));
      const shown = document.createElement("span");
      shown.className = "control";
      shown.textContent = "\\u" + found[0].charCodeAt(0).toString(16).padStart(4, "0");
      parent.append(shown);
      from = found.index + 1;
    }
    parent.append(from ? text.slice(from) : text);
  }

  function add(parent, children) {
    for (const child of children) {
      if (child === null || child === undefined || child === false) continue;
      if (Array.isArray(child)) add(parent, child);
      else if (child instanceof Node) parent.append(child);
      else textInto(parent, String(child));
    }
    return parent;
  }

  function attributes(element, given) {
    for (const [name, value] of Object.entries(given || {})) {
      if (value === null || value === undefined || value === false) continue;
      if (name === "on") for (const [event, act] of Object.entries(value)) element.addEventListener(event, act);
      else element.setAttribute(name, value === true ? "" : String(value));
    }
    return element;
  }

  /* h("p", {class: "note"}, "text", h("b", null, "bold")) */
  const h = (tag, given, ...children) => add(attributes(document.createElement(tag), given), children);
  const s = (tag, given, ...children) =>
    add(attributes(document.createElementNS("http://www.w3.org/2000/svg", tag), given), children);

  /* --- data: parts come from scripts beside the page, since a page from disk may not fetch --------------------------- */

  const parts = {};

  function arrives(name) {
    return new Promise((resolve, reject) => {
      if (self.AUDIT && self.AUDIT[name] !== undefined) return resolve();
      const script = document.createElement("script");
      script.src = `data/${name}.js`;
      script.onload = () => resolve();
      script.onerror = () => reject(new Error(`data/${name}.js is missing from this folder`));
      document.head.append(script);
    });
  }

  /* Bytes as pack.packed wrote them: characters from U+0080 on, surrogates left out, the first SHORT of which stand for
     15 bits each, the others for 16. */
  const FIRST = 0x80, SURROGATES = 0x800, SHORT = FIRST + SURROGATES;

  function bytesOf([length, text]) {
    const found = new Uint8Array(length);
    for (let i = 0, at = 0, held = 0, bits = 0; i < text.length; i += 1) {
      const letter = text.charCodeAt(i);
      const value = letter - FIRST - (letter > 0xdfff ? SURROGATES : 0);
      const wide = value < SHORT ? 15 : 16;
      held = (held << wide) | (wide === 15 ? value : value + SHORT);
      for (bits += wide; bits >= 8; at += 1) found[at] = held >>> (bits -= 8);
    }
    return found;
  }

  async function unpack(name) {
    await arrives(name);
    const text = new TextDecoder().decode(fzstd.decompress(bytesOf(self.AUDIT[name])));
    self.AUDIT[name] = "";
    return JSON.parse(text);
  }

  const part = (name) => (parts[name] ??= unpack(name));

  /* A table that came by columns: rows by place. */
  class Table {
    constructor(packed) {
      this.n = packed.n;
      this.names = Object.keys(packed.columns);
      this.columns = packed.columns;
    }
    get(row, name) {
      const column = this.columns[name];
      if (column === undefined) return null;
      if (Array.isArray(column)) return column[row];
      return column.codes[row] < 0 ? null : column.levels[column.codes[row]];
    }
    row(row) {
      return Object.fromEntries(this.names.map((name) => [name, this.get(row, name)]));
    }
    *rows() {
      for (let row = 0; row < this.n; row += 1) yield this.row(row);
    }
  }

  /* --- words and numbers ------------------------------------------------------------------------------------------------ */

  const count = (n, one, many) => `${n.toLocaleString("en-GB")} ${n === 1 ? one : many ?? one + "s"}`;
  const short = (digest) => (digest ? digest.slice(0, 12) : "");

  function bytes(n) {
    if (n < 1000) return `${n} bytes`;
    return n < 1e6 ? `${(n / 1000).toFixed(1)} kB` : `${(n / 1e6).toFixed(1)} MB`;
  }

  /* Runs as pack.runs wrote them -> [[first, last], ...] */
  function intervals(runs) {
    const found = [];
    let end = 0;
    for (let i = 0; i < runs.length; i += 2) {
      const first = end + runs[i];
      end = first + runs[i + 1];
      found.push([first, end - 1]);
    }
    return found;
  }
  const numbers = (runs) =>
    intervals(runs).flatMap(([first, last]) => Array.from({ length: last - first + 1 }, (_, i) => first + i));
  /* Places in set i of those that pack.nested wrote; each stands within another, -1 being everything. */
  function places(sets, i) {
    sets.opened ??= [];
    if (!sets.opened[i]) {
      const [container, ...runs] = sets[i];
      const inside = numbers(runs);
      const all = container < 0 ? null : places(sets, container);
      sets.opened[i] = all ? inside.map((k) => all[k]) : inside;
    }
    return sets.opened[i];
  }
  const ranges = (runs) =>
    intervals(runs).map(([first, last]) => (first === last ? `${first}` : `${first}\u2013${last}`)).join(", ");

  const to = (target) => "#" + encodeURIComponent(target).replace(/%3A/g, ":").replace(/%2F/g, "/").replace(/%2C/g, ",");
  const link = (target, ...children) => h("a", { href: to(target) }, ...children);

  /* Ids and paths may break after the marks within them, not within their words. */
  function code(...children) {
    const pieces = children.map((child) => (typeof child === "string"
      ? child.split(/(?<=[._/:-])(?=\w)/).flatMap((piece, i) => (i ? [document.createElement("wbr"), piece] : [piece])) : child));
    return h("code", null, pieces);
  }
  const mark = (text) => h("bdi", null, text);

  /* --- pieces of a page -------------------------------------------------------------------------------------------------- */

  function facts(pairs) {
    const list = h("dl", { class: "facts" });
    for (const [name, value] of pairs) {
      if (value === null || value === undefined || value === "" || (Array.isArray(value) && !value.length)) continue;
      list.append(h("div", null, h("dt", null, name), h("dd", null, value)));
    }
    return list;
  }

  /* A table with a caption, in a frame that scrolls and can be reached by keyboard. */
  function grid(caption, heads, rows, options = {}) {
    const number = options.numeric || [];
    const body = h("tbody");
    for (const row of rows)
      body.append(h("tr", null, row.map((cell, i) => h(i === 0 && options.rowHead ? "th" : "td",
        { class: number.includes(i) ? "number" : null, scope: i === 0 && options.rowHead ? "row" : null }, cell))));
    const id = `grid-${(grid.made = (grid.made || 0) + 1)}`;
    return h("div", { class: "grid", tabindex: "0", role: "region", "aria-labelledby": id },
      h("table", null, h("caption", { id }, caption),
        h("thead", null, h("tr", null, heads.map((head, i) =>
          h("th", { scope: "col", class: number.includes(i) ? "number" : null }, head)))),
        body));
  }

  /* Details whose content is made when they are opened (or printed). */
  function fold(summary, make, open = false) {
    const inside = h("div", { class: "inside" });
    const details = h("details", { open }, h("summary", null, summary), inside);
    const fill = () => {
      if (!inside.childNodes.length) add(inside, [make()]);
    };
    details.addEventListener("toggle", () => details.open && fill());
    details.fill = fill;
    if (open) fill();
    return details;
  }

  /* A box above a table that hides the rows in which the words do not all occur. */
  function filter(label, table) {
    const rows = [...table.querySelectorAll("tbody tr")];
    const texts = [];
    const said = h("span", { class: "note", role: "status" }, count(rows.length, "row"));
    let waiting = 0;
    const act = (event) => {
      clearTimeout(waiting);
      waiting = setTimeout(() => {
        const words = event.target.value.toLowerCase().split(/\s+/).filter(Boolean);
        let left = 0;
        rows.forEach((row, i) => {
          texts[i] ??= row.textContent.toLowerCase();
          row.hidden = !words.every((word) => texts[i].includes(word));
          left += !row.hidden;
        });
        said.textContent = `${left.toLocaleString("en-GB")} of ${count(rows.length, "row")}`;
      }, 120);
    };
    const id = `filter-${(filter.made = (filter.made || 0) + 1)}`;
    return h("p", { class: "filter" }, h("label", { for: id }, label),
      h("input", { id, type: "search", autocomplete: "off", spellcheck: "false", on: { input: act } }), said);
  }

  Object.assign(Audit, {
    h, s, add, part, Table, count, short, bytes, numbers, places, ranges, to, link, code, mark, facts, grid, fold, filter,
  });
})();
